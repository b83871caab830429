/* spawn COMMAND...: the command as a process of its own, to its end. */
#include <spawn.h>
#include <sys/wait.h>

#include "../contestant.h"

extern char **environ;

static char **command;

static void work(long times) {
  for (; times > 0; times--) {
    pid_t pid;
    int status = -1;
    contestant_check(posix_spawnp(&pid, command[0], NULL, NULL, command, environ) == 0 &&
                         waitpid(pid, &status, 0) == pid && status == 0,
                     command[0]);
  }
}

int main(int argc, char **argv) {
  contestant_check(argc > 1, "spawn COMMAND...");
  command = argv + 1;
  contestant_run(work);
  return 0;
}
