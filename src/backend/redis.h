/* A client of Redis by blocking sockets, which keeps its connection: it carries out what the
   conversation wants. After a fork the child leaves the parent's connection alone and makes its
   own. */
#pragma once

#include "backend/redis_talk.h"
#include "backend/stream.h"

typedef struct tc_redis {
  tc_redis_known known;
  tc_stream_options stream, sentinel_stream; /* but for the address */
  tc_redis_talk talk;
  /* what follows is the client's own */
  tc_stream *connections[2]; /* to the server, and to a sentinel; NULL: not connected */
  unsigned generation;       /* in which that to the server was made */
  bool was_connected;
  double used; /* when the last reply came, on the clock of tc_monotonic_coarse() */
} tc_redis;

/* Sends a command and waits for the reply. What came of it is in `talk`, until the next command or
   tc_redis_talk_end. False: nothing was sent, and a password is to be given before the command
   comes again. */
bool tc_redis_command(tc_redis *redis, const tc_str *words, size_t count);

/* Closes the connection and frees what the client holds, which may be all zeros. */
void tc_redis_close(tc_redis *redis);
