/* Which process this is, for whoever must not use what its parent had open before a fork. */
#pragma once

#include <sys/types.h>

/* getpid(), mostly without a system call, of which each use of a kept connection would cost one. */
pid_t tc_process_id(void);
