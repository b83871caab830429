/* A blocking client of one or more memcached servers, over libmemcached. A key belongs to one
   server (ketama), and connections are kept. One that broke is made anew, once, within the same
   call; what is said here may therefore reach a server twice. After a fork the child leaves the
   parent's connections alone and makes its own.

   A server that is away fails its keys and no others, unless the options say
   --REMOVE-FAILED-SERVERS: then its keys move to the others until it is back. */
#pragma once

#include <stdint.h>

#include "core/error.h"

enum {
  TC_MEMCACHED_MISSING = 1, /* there is no such entry */
  TC_MEMCACHED_REFUSED = 2, /* add: there is one already; cas: it has changed meanwhile */
};

#define TC_MEMCACHED_FOR_EVER (-1.0) /* a time to live */

typedef struct tc_memcached tc_memcached;

typedef struct tc_memcached_options {
  const char *const *servers; /* "host", "host:port", "[::1]:port" or "/path/of/socket" */
  size_t server_count;
  const char *options;    /* libmemcached's own, as in libmemcached_configuration(3); NULL: none */
  double timeout;         /* seconds for a call; libmemcached counts anew when data arrives */
  double connect_timeout; /* seconds */
  uint32_t flags;         /* of all that is written: what they say is up to the clients */
} tc_memcached_options;

/* Makes a client in `*memcached`. Nothing is connected yet, no name looked up. */
int tc_memcached_open(tc_memcached **memcached, const tc_memcached_options *options, tc_error *err);

/* The longest key in bytes: 250, less a --NAMESPACE. */
size_t tc_memcached_longest_key(const tc_memcached *memcached);

/* Whether the last call had to make a connection anew. */
bool tc_memcached_reconnected(const tc_memcached *memcached);

/* Keys hold no blanks and no control characters. Besides errors these return the numbers above. */

/* `*value` is the client's own until the next call. `cas`, where it is not NULL, becomes the number
   that tc_memcached_cas compares; 0 if the server gives none. */
int tc_memcached_get(tc_memcached *memcached, tc_str key, tc_str *value, uint64_t *cas,
                     tc_error *err);

/* `ttl` in seconds, rounded up. With zero, or any negative number but TC_MEMCACHED_FOR_EVER, the
   entry is over at once. */
int tc_memcached_set(tc_memcached *memcached, tc_str key, tc_str value, double ttl, tc_error *err);
int tc_memcached_add(tc_memcached *memcached, tc_str key, tc_str value, double ttl, tc_error *err);
int tc_memcached_cas(tc_memcached *memcached, tc_str key, tc_str value, double ttl, uint64_t cas,
                     tc_error *err);
int tc_memcached_delete(tc_memcached *memcached, tc_str key, tc_error *err);

/* Closes the connections and frees the client; NULL is no client. Never waits for a server. */
void tc_memcached_close(tc_memcached *memcached);
