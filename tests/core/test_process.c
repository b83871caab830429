#include "backend/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* Whether a child forked by a child, and each on the way, knows itself. */
static int know_yourself(int forks) {
  int status = 1;
  if (tc_process_id() != getpid() || tc_process_id() != getpid()) return 1;
  if (forks == 0) return 0;
  pid_t child = fork();
  if (child == 0) _exit(know_yourself(forks - 1));
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  return tc_process_id() == getpid() ? 0 : 1;
}

static void test_every_process_has_its_own(void) {
  CHECK_NUM(know_yourself(3), 0);
}

int main(void) {
  RUN(test_every_process_has_its_own);
  return done();
}
