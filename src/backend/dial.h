/* Connections to servers, made within a deadline. */
#pragma once

#include <stdbool.h>

#include "core/error.h"

typedef struct tc_dial_address {
  const char *host; /* a name, or an address of IPv4 or IPv6 */
  int port;
  const char *path; /* of a Unix socket; NULL: host and port count */
} tc_dial_address;

/* Connects by the `deadline`, a time of tc_monotonic(), to the first address of the host that takes
   the connection; looking up its name is part of that. `*fd` does not block, is closed on exec, and
   is -1 on failure. Messages do not name the address. */
int tc_dial(const tc_dial_address *address, double deadline, int *fd, tc_error *err);

/* Waits until `fd` is ready for `events` of poll(2), or has failed; false if the deadline came
   first. */
bool tc_dial_wait(int fd, short events, double deadline);
