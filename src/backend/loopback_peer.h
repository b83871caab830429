/* Who is at the other end of a connection over the loopback. Every user of the machine may connect
   there; Linux' tables of TCP sockets tell whose socket it is. */
#pragma once

#include <stdint.h>

#include "core/error.h"

typedef struct tc_peers {
  int tables[2];         /* descriptors of IPv4's and IPv6's; -1: there is none */
  int listener;          /* what they connect to */
  bool is_tested;        /* the tables tell, as a connection of our own has shown */
  bool may_be_elsewhere; /* a browser beyond this kernel may connect, whose socket is in neither */
} tc_peers;

#define TC_PEERS_NONE ((tc_peers){{-1, -1}, -1, false, false})

#define TC_PEER_UNKNOWN ((int64_t)-1) /* in place of a user's id */

/* Opens the tables. `peers` must be TC_PEERS_NONE before, and be closed after, also on failure. */
int tc_peers_open(tc_peers *peers, int listener, tc_error *err);

/* Whether the peer of the connected socket `fd` is a process of this user or of root; under sudo
   also one of the user who called that. `*uid` is whose it is, or TC_PEER_UNKNOWN. One that has
   closed its socket is not trusted: the system no longer tells whose it was. Where the system tells
   of nobody (another one than Linux, a sandbox), everybody is trusted. */
bool tc_peers_trust(tc_peers *peers, int fd, int64_t *uid);

void tc_peers_close(tc_peers *peers);
