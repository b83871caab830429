#include "backend/sigpipe.h"

#include <errno.h>
#include <unistd.h>

#include "test.h"

/* errno after a write to a pipe that nobody reads, under the block. */
static int write_to_nobody(void) {
  tc_sigpipe sigpipe;
  int ends[2];
  CHECK(pipe(ends) == 0);
  (void)close(ends[0]);
  tc_sigpipe_block(&sigpipe);
  CHECK(write(ends[1], "x", 1) < 0);
  tc_sigpipe_restore(&sigpipe);
  int code = errno;
  (void)close(ends[1]);
  return code;
}

static bool is_pending(void) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void test_the_program_lives_on_and_learns_why_it_failed(void) {
  CHECK_NUM(write_to_nobody(), EPIPE);
  CHECK(!is_pending());
}

static void test_errno_stays_where_no_signal_came(void) {
  tc_sigpipe sigpipe;
  tc_sigpipe_block(&sigpipe);
  errno = ECONNRESET;
  tc_sigpipe_restore(&sigpipe);
  CHECK_NUM(errno, ECONNRESET);
}

static void test_a_signal_that_was_pending_stays(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  CHECK(raise(SIGPIPE) == 0);
  CHECK_NUM(write_to_nobody(), EPIPE);
  CHECK(is_pending());
}

int main(void) {
  RUN(test_the_program_lives_on_and_learns_why_it_failed);
  RUN(test_errno_stays_where_no_signal_came);
  RUN(test_a_signal_that_was_pending_stays);
  return done();
}
