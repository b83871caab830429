/* System calls that a signal may interrupt. */
#pragma once

#include <errno.h>

/* Sets `result` to what the call returns, which is made again where a signal interrupts it. */
#define TC_RETRY(result, call)                                                                     \
  do {                                                                                             \
    (result) = (call);                                                                             \
  } while ((result) < 0 && errno == EINTR)
