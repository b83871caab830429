/* Listening sockets on a loopback address, for redirect URIs of native apps (RFC 8252 §7.3, §8.3).
 */
#ifndef TC_LOOPBACK_H
#define TC_LOOPBACK_H

#include <stdint.h>

#include "core/error.h"

/* Listens on `host`, which is "127.0.0.1" or "::1", and on no other address. `*port` may be 0 for
   any that is free, and is the port afterwards. `*fd` does not block, is closed on exec, and is -1
   on failure. */
int tc_loopback_listen(const char *host, uint16_t *port, int *fd, tc_error *err);

#endif
