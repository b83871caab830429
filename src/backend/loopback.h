/* Listening sockets on a loopback address, for redirect URIs of native apps (RFC 8252 §7.3, §8.3).
 */
#pragma once

#include <stdint.h>

#include "core/error.h"

#define TC_LOOPBACK_MOST 2 /* sockets for one host */

/* Listens on `host`, and on no other address: "127.0.0.1", "::1", or "localhost" for both, or for
   the one that this machine has. `*port` may be 0 for any that is free, and is the port afterwards.
   What `fds` gets does not block and is closed on exec; -1 where there is none, as on failure. */
int tc_loopback_listen(const char *host, uint16_t *port, int fds[TC_LOOPBACK_MOST], tc_error *err);
