/* A client of Redis by blocking sockets, which keeps its connections: it carries out what the
   conversation wants. After a fork the child leaves the parent's connection alone and makes its
   own. */
#pragma once

#include "backend/redis_talk.h"
#include "backend/stream.h"

typedef struct tc_redis_connection tc_redis_connection;

typedef struct tc_redis {
  tc_redis_known known;
  tc_stream_options stream, sentinel_stream; /* but for the address */
  tc_redis_talk talk;
  /* what follows is the client's own */
  tc_redis_connection *kept;    /* to servers: a list */
  tc_redis_connection *passing; /* to a sentinel; NULL: none */
  tc_redis_connection *in_use;  /* one of these; NULL: none */
  bool was_connected;
} tc_redis;

/* Sends a command and waits for the reply. What came of it is in `talk`, until the next command or
   tc_redis_talk_end. False: nothing was sent, and a password is to be given before the command
   comes again. */
bool tc_redis_command(tc_redis *redis, const tc_str *words, size_t count);

/* Closes the connections and frees what the client holds, which may be all zeros. */
void tc_redis_close(tc_redis *redis);
