#include "backend/redis.h"

#include <errno.h>
#include <time.h>

#include "backend/clock.h"
#include "core/secret.h"

#define ROOM 16384 /* bytes read at once */
#define IDLE 0.1   /* seconds after which a connection is looked at before it is used */

/* Closes the connection to the server, or to a sentinel. */
static void disconnect(tc_redis *redis, bool is_sentinel) {
  tc_stream_close(redis->connections[is_sentinel]);
  redis->connections[is_sentinel] = NULL;
}

void tc_redis_close(tc_redis *redis) {
  disconnect(redis, false);
  disconnect(redis, true);
  tc_redis_talk_free(&redis->talk);
}

/* A server that went away is noticed before anything is sent to it, unless it did so just now. */
static bool is_usable(const tc_redis *redis, double now) {
  tc_stream *kept = redis->connections[false];
  return kept != NULL && tc_stream_is_ours(kept) &&
         (now - redis->used < IDLE || tc_stream_is_idle(kept));
}

static void failed(tc_redis *redis, const tc_error *cause) {
  disconnect(redis, redis->talk.is_sentinel);
  tc_redis_talk_failed(&redis->talk, cause, NULL, tc_monotonic());
}

static void connect(tc_redis *redis) {
  tc_redis_talk *talk = &redis->talk;
  tc_stream_options options = talk->is_sentinel ? redis->sentinel_stream : redis->stream;
  tc_error err = TC_ERROR_NONE;
  options.address = talk->address;
  options.patience = redis->known.options.timeout;
  disconnect(redis, talk->is_sentinel);
  if (tc_stream_open(&redis->connections[talk->is_sentinel], &options, talk->deadline, &err) < 0) {
    failed(redis, &err);
    return;
  }
  if (!talk->is_sentinel) {
    redis->generation = talk->generation;
    redis->was_connected = true;
  }
  tc_redis_talk_connected(talk, true, tc_monotonic());
}

/* A password is asked for before the connection, which would have to wait. `now` may be 0: not
   known. */
static void use(tc_redis *redis, double now) {
  tc_redis_talk *talk = &redis->talk;
  disconnect(redis, true);
  if (talk->is_sentinel) {
    connect(redis);
  } else if (redis->connections[false] != NULL && redis->generation == talk->generation) {
    tc_redis_talk_connected(talk, false, now > 0 ? now : tc_monotonic());
  } else if (tc_redis_talk_lacks_password(talk)) {
    talk->action = TC_REDIS_PASSWORD;
  } else {
    connect(redis);
  }
}

static void receive(tc_redis *redis) {
  char room[ROOM];
  size_t len = 0;
  tc_error err;
  tc_error_clear(&err);
  if (tc_stream_receive(redis->connections[redis->talk.is_sentinel], room, sizeof room, &len,
                        redis->talk.deadline, &err) < 0) {
    failed(redis, &err);
    return;
  }
  redis->used = tc_monotonic_coarse();
  tc_redis_talk_received(&redis->talk, room, len, redis->used);
  tc_wipe(room, len);
}

static void send_and_receive(tc_redis *redis) {
  tc_error err;
  tc_error_clear(&err);
  tc_stream *stream = redis->connections[redis->talk.is_sentinel];
  if (tc_stream_send(stream, redis->talk.bytes, redis->talk.deadline, &err) < 0) {
    failed(redis, &err);
  } else {
    receive(redis);
  }
}

static void sleep_until(double deadline) {
  double left = deadline - tc_monotonic();
  struct timespec pause = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
  if (left <= 0) return;
  while (nanosleep(&pause, &pause) != 0 && errno == EINTR) continue;
}

bool tc_redis_command(tc_redis *redis, const tc_str *words, size_t count) {
  tc_redis_talk *talk = &redis->talk;
  double now = tc_monotonic();
  tc_redis_talk_begin(talk, &redis->known, words, count, now);
  if (!is_usable(redis, now)) {
    disconnect(redis, false);
    if (redis->was_connected && talk->action == TC_REDIS_USE) tc_redis_talk_lost(talk, now);
  }
  for (;;) {
    switch (talk->action) {
    case TC_REDIS_USE:
      use(redis, now);
      now = 0;
      break;
    case TC_REDIS_SEND:
      send_and_receive(redis);
      break;
    case TC_REDIS_RECEIVE:
      receive(redis);
      break;
    case TC_REDIS_SLEEP:
      sleep_until(talk->deadline);
      tc_redis_talk_slept(talk, tc_monotonic());
      break;
    case TC_REDIS_PASSWORD:
      disconnect(redis, false);
      talk->action = TC_REDIS_DONE; /* a password that is given now is for the next command */
      return false;
    case TC_REDIS_DONE:
      if (!talk->may_keep) disconnect(redis, false);
      if (talk->is_sentinel) disconnect(redis, true);
      return true;
    }
  }
}
