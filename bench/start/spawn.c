/* spawn COMMAND...: the command as a process of its own, to its end; what it prints is dropped. */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../contestant.h"

extern char **environ;

static char **command;
static posix_spawn_file_actions_t actions;

static void work(long times) {
  for (; times > 0; times--) {
    pid_t pid;
    int status = -1;
    contestant_check(posix_spawnp(&pid, command[0], &actions, NULL, command, environ) == 0 &&
                         waitpid(pid, &status, 0) == pid && status == 0,
                     command[0]);
  }
}

int main(int argc, char **argv) {
  contestant_check(argc > 1, "spawn COMMAND...");
  command = argv + 1;
  contestant_check(
      posix_spawn_file_actions_init(&actions) == 0 &&
          posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0,
      "posix_spawn_file_actions");
  contestant_run(work);
  return 0;
}
