#include "backend/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/clock.h"
#include "core/secret.h"

#define ROOM 16384 /* bytes read at once */
#define IDLE 0.1   /* seconds after which a connection is looked at before it is used */

struct tc_redis_connection {
  tc_stream *stream;
  char host[TC_REDIS_HOST_SIZE]; /* of a node; elsewhere empty */
  int port;
  unsigned generation;
  double used; /* when the last bytes came, on the clock of tc_monotonic_coarse() */
  tc_redis_connection *next;
};

static void close_first(tc_redis_connection **list) {
  tc_redis_connection *connection = *list;
  *list = connection->next;
  tc_stream_close(connection->stream);
  free(connection);
}

/* Whether it is to a node of the cluster. */
static bool is_current(const tc_redis *redis, const tc_redis_connection *it) {
  const tc_redis_node *node =
      tc_redis_cluster_find(&redis->known.cluster, tc_str_of(it->host), it->port);
  return node != NULL && node->generation == it->generation;
}

/* Closes the connections of no more use: a single server has one, which is replaced. */
static void close_old(tc_redis *redis) {
  tc_redis_connection **at = &redis->kept;
  while (*at != NULL) {
    if (is_current(redis, *at)) {
      at = &(*at)->next;
    } else {
      close_first(at);
    }
  }
}

/* Closes that which is in use. */
static void disconnect(tc_redis *redis) {
  tc_redis_connection **at = redis->in_use == redis->passing ? &redis->passing : &redis->kept;
  while (*at != NULL && *at != redis->in_use) at = &(*at)->next;
  if (*at != NULL) close_first(at);
  redis->in_use = NULL;
}

void tc_redis_close(tc_redis *redis) {
  while (redis->kept != NULL) close_first(&redis->kept);
  if (redis->passing != NULL) close_first(&redis->passing);
  tc_redis_talk_free(&redis->talk);
  tc_redis_cluster_free(&redis->known.cluster);
}

/* A server that went away is noticed before anything is sent to it, unless it did so just now. */
static bool is_usable(const tc_redis_connection *kept, double now) {
  return tc_stream_is_ours(kept->stream) &&
         (now - kept->used < IDLE || tc_stream_is_idle(kept->stream));
}

static void failed(tc_redis *redis, const tc_error *cause) {
  disconnect(redis);
  tc_redis_talk_failed(&redis->talk, cause, NULL, tc_monotonic());
}

static void connect(tc_redis *redis) {
  tc_redis_talk *talk = &redis->talk;
  tc_stream_options options = talk->is_sentinel ? redis->sentinel_stream : redis->stream;
  tc_error err = TC_ERROR_NONE;
  options.address = talk->address;
  options.patience = redis->known.options.timeout;
  if (!talk->is_sentinel) close_old(redis);
  tc_redis_connection *made = calloc(1, sizeof *made);
  int status = made == NULL ? tc_error_set(&err, TC_ERR_NOMEM, NULL)
                            : tc_stream_open(&made->stream, &options, talk->deadline, &err);
  if (made == NULL || status < 0) {
    free(made);
    failed(redis, &err);
    return;
  }
  tc_redis_connection **list = talk->is_sentinel ? &redis->passing : &redis->kept;
  (void)snprintf(made->host, sizeof made->host, "%s", talk->host);
  made->port = talk->address.port;
  made->generation = talk->generation;
  made->next = *list;
  *list = redis->in_use = made;
  if (!talk->is_sentinel) redis->was_connected = true;
  tc_redis_talk_connected(talk, true, tc_monotonic());
}

/* The connection that may serve: there are not many. */
static tc_redis_connection *find_kept(const tc_redis *redis) {
  const tc_redis_talk *talk = &redis->talk;
  tc_redis_connection *it = talk->is_sentinel ? NULL : redis->kept;
  while (it != NULL && (it->generation != talk->generation || it->port != talk->address.port ||
                        strcmp(it->host, talk->host) != 0)) {
    it = it->next;
  }
  return it;
}

/* A password is asked for before the connection, which would have to wait. */
static void use(tc_redis *redis) {
  tc_redis_talk *talk = &redis->talk;
  double now = tc_monotonic();
  if (redis->passing != NULL) close_first(&redis->passing);
  redis->in_use = find_kept(redis);
  if (redis->in_use != NULL && !is_usable(redis->in_use, now)) {
    disconnect(redis);
    tc_redis_talk_lost(talk, now);
  } else if (redis->in_use != NULL) {
    tc_redis_talk_connected(talk, false, now);
  } else if (!talk->is_sentinel && tc_redis_talk_lacks_password(talk)) {
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
  if (tc_stream_receive(redis->in_use->stream, room, sizeof room, &len, redis->talk.deadline,
                        &err) < 0) {
    failed(redis, &err);
    return;
  }
  double now = redis->in_use->used = tc_monotonic_coarse();
  tc_redis_talk_received(&redis->talk, room, len, now);
  tc_wipe(room, len);
}

static void send_and_receive(tc_redis *redis) {
  tc_error err;
  tc_error_clear(&err);
  if (tc_stream_send(redis->in_use->stream, redis->talk.bytes, redis->talk.deadline, &err) < 0) {
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
  if (redis->kept == NULL && redis->was_connected && talk->action == TC_REDIS_USE) {
    tc_redis_talk_lost(talk, now);
  }
  for (;;) {
    switch (talk->action) {
    case TC_REDIS_USE:
      use(redis);
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
      disconnect(redis);
      talk->action = TC_REDIS_DONE; /* a password that is given now is for the next command */
      return false;
    case TC_REDIS_DONE:
      if (!talk->may_keep) disconnect(redis);
      if (redis->passing != NULL) close_first(&redis->passing);
      return true;
    }
  }
}
