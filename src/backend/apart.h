/* Work that takes as long as it likes, such as the C library's when it looks up a name: done in a
   thread of its own, which is waited for until a deadline. */
#pragma once

#include "core/error.h"

typedef struct tc_apart {
  void (*work)(void *data);
  void (*drop)(void *data); /* frees the data, in that thread, once nobody waits any more */
  void *data;
} tc_apart;

/* 0: the work is done. TC_ERR_TIMEOUT: it is not by the `deadline`, a time of tc_monotonic(); the
   data belong to the thread now, which drops them in the end. (At once, where dozens of threads are
   left to themselves already.) TC_ERR_NOMEM: nothing was done. Where the system gives no thread,
   the work is done in this one, however long it takes. */
int tc_apart_do(const tc_apart *task, double deadline);
