/* What went wrong with Redis, as the user of a cache is told. */
#pragma once

#include "core/error.h"

/* What it is that says so: a server by itself, or a master of sentinels; a sentinel; a node of a
   cluster. */
typedef enum tc_redis_part { TC_REDIS_SERVER, TC_REDIS_SENTINEL, TC_REDIS_NODE } tc_redis_part;

/* Describes the error reply `text` to the command `words`; `place` is the server's. The code is the
   reply's first word. What the server echoes of the command after its second word, or after the
   first of AUTH, is cut out. */
int tc_redis_server_error(tc_error *err, const char *place, tc_str text, const tc_str *words,
                          size_t count, tc_redis_part part);

/* The same for what a layer below says about the connection, by its number, in `cause`, which is
   not `err`. A `remedy` of NULL is the usual one. */
void tc_redis_connection_error(tc_error *err, const char *place, const tc_error *cause,
                               const char *remedy);
