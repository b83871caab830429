/* A client of one Redis server, which keeps its connection. A connection that was lost is made
   anew, once for each command. After a fork the child leaves the parent's connection alone and
   makes its own. Errors are of kind "cache" and name the server. Their code is CONNECT where no
   connection could be made, CLOSED where it broke, twice, TIMEOUT or TLS. */
#pragma once

#include "backend/redis_codec.h"
#include "backend/stream.h"

typedef struct tc_redis tc_redis;

typedef struct tc_redis_options {
  tc_stream_options stream;
  const char *place; /* what messages call the server */
  tc_str username;   /* absent: Redis's default user */
  tc_str password;   /* absent: no AUTH */
  int db;
  double connect_timeout; /* seconds, for connection, TLS, AUTH and SELECT together */
  double timeout;         /* seconds, for a command and its reply */
} tc_redis_options;

/* What a command went through. */
typedef enum tc_redis_history {
  TC_REDIS_STRAIGHT,
  TC_REDIS_RECONNECTED, /* the kept connection had been lost; the command was sent once */
  TC_REDIS_REPEATED,    /* the connection broke after the command was sent: it was sent again, and
                           may have been executed twice */
} tc_redis_history;

/* Makes a client in `*redis`; nothing is connected yet. What `options` points at is copied. */
int tc_redis_open(tc_redis **redis, const tc_redis_options *options, tc_error *err);

/* Sends a command, which must bear being executed twice, and waits for its reply; `*reply` is to be
   freed. The server's own errors are failures too. */
int tc_redis_command(tc_redis *redis, const tc_str *words, size_t count, tc_redis_reply *reply,
                     tc_redis_history *history, tc_error *err);

/* Closes the connection and frees the client; NULL is no client. */
void tc_redis_close(tc_redis *redis);
