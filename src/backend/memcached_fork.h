/* What becomes of connections that a forked child has inherited from its parent. */
#pragma once

#include <libmemcached/memcached.h>
#include <stdbool.h>

/* Closes this process's copies of the client's connections and puts dead ones in their place, so
   that memcached_free can be called without a "quit" reaching a server on the parent's behalf.
   False where a connection could not be told from others; then the client must be left alone. */
bool tc_memcached_disown(memcached_st *client);
