#include "backend/sigpipe.h"

#include <errno.h>
#include <time.h>

static sigset_t only_sigpipe(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

static bool is_pending(void) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void tc_sigpipe_block(tc_sigpipe *saved) {
  sigset_t set = only_sigpipe();
  pthread_sigmask(SIG_BLOCK, &set, &saved->mask);
  /* where it was not blocked it cannot have been pending */
  saved->pending = sigismember(&saved->mask, SIGPIPE) == 1 && is_pending();
}

void tc_sigpipe_restore(const tc_sigpipe *saved) {
  sigset_t set = only_sigpipe();
  struct timespec at_once = {0, 0};
  int code = errno;
  if (!saved->pending) {
    while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) continue;
  }
  pthread_sigmask(SIG_SETMASK, &saved->mask, NULL);
  errno = code;
}
