#include "backend/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/clock.h"
#include "backend/redis_error.h"
#include "core/secret.h"

#define ROOM 16384 /* bytes read at once */
#define KEPT 4096  /* bytes of memory for commands that are kept for the next one */
#define IDLE 0.1   /* seconds after which a connection is looked at before it is used */

struct tc_redis {
  tc_redis_options options; /* its texts are those below */
  tc_buf texts[8];
  tc_stream *stream; /* NULL: not connected */
  tc_redis_reader *reader;
  tc_buf command; /* empty between calls */
  bool was_connected;
  double used; /* when the last reply came, on the clock of tc_monotonic_coarse() */
};

/* --- open and close -------------------------------------------------------------------------- */

/* A terminated copy; NULL stays NULL. */
static const char *own(tc_buf *text, const char *from, tc_error *err) {
  if (from == NULL) return NULL;
  tc_buf_add_text(text, from);
  if (text->failed) (void)tc_error_set(err, TC_ERR_NOMEM, NULL);
  return text->data;
}

static void own_str(tc_buf *text, tc_str *str, tc_error *err) {
  if (str->data == NULL) return;
  tc_buf_add_str(text, *str);
  if (text->failed) (void)tc_error_set(err, TC_ERR_NOMEM, NULL);
  *str = tc_buf_str(text);
}

static int own_texts(tc_redis *redis, tc_error *err) {
  tc_stream_options *stream = &redis->options.stream;
  tc_buf *text = redis->texts;
  stream->address.host = own(text++, stream->address.host, err);
  stream->address.path = own(text++, stream->address.path, err);
  stream->ca_file = own(text++, stream->ca_file, err);
  stream->cert_file = own(text++, stream->cert_file, err);
  stream->key_file = own(text++, stream->key_file, err);
  redis->options.place = own(text++, redis->options.place, err);
  own_str(text++, &redis->options.username, err);
  own_str(text++, &redis->options.password, err);
  return err->number;
}

int tc_redis_open(tc_redis **to, const tc_redis_options *options, tc_error *err) {
  *to = NULL;
  tc_redis *redis = calloc(1, sizeof *redis);
  if (redis == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  redis->options = *options;
  redis->options.stream.patience = options->timeout;
  int status = own_texts(redis, err);
  if (status < 0) {
    tc_redis_close(redis);
    return status;
  }
  *to = redis;
  return 0;
}

static void disconnect(tc_redis *redis) {
  tc_stream_close(redis->stream);
  tc_redis_reader_close(redis->reader);
  redis->stream = NULL;
  redis->reader = NULL;
}

void tc_redis_close(tc_redis *redis) {
  if (redis == NULL) return;
  disconnect(redis);
  for (size_t i = 0; i < sizeof redis->texts / sizeof *redis->texts; i++) {
    tc_buf_free(&redis->texts[i]);
  }
  tc_buf_free(&redis->command);
  free(redis);
}

/* --- errors ---------------------------------------------------------------------------------- */

static const struct {
  int number;
  const char *code;
  const char *remedy;
} failures[] = {
    {TC_ERR_CONNECT, "CONNECT", "; check that the server runs, and the address"},
    {TC_ERR_INVALID, "CONNECT", "; check the address"},
    {TC_ERR_NETWORK, "CLOSED", "; try again later"},
    {TC_ERR_TIMEOUT, "TIMEOUT", "; try again later, or raise the timeout"},
    {TC_ERR_TLS, "TLS", "; check tls=, ca_file=, cert_file= and the server's certificate"},
    {TC_ERR_PROTOCOL, TC_REDIS_CODE_PROTOCOL, ""},
};

/* Makes what a layer below says the cache's error: adds the server, a code, and the way out. */
static int explain(const tc_redis *redis, tc_error *err) {
  tc_error cause = *err;
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
    if (failures[i].number != cause.number) continue;
    (void)snprintf(err->code, sizeof err->code, "%s", failures[i].code);
    return tc_error_set(err, TC_ERR_CACHE, "%s: Redis: %s%s", redis->options.place, cause.message,
                        failures[i].remedy);
  }
  return cause.number;
}

/* --- commands -------------------------------------------------------------------------------- */

static int await_reply(tc_redis *redis, double deadline, tc_redis_reply *reply, tc_error *err) {
  char room[ROOM];
  int status;
  do {
    size_t len = 0;
    status = tc_stream_receive(redis->stream, room, sizeof room, &len, deadline, err);
    if (status == 0) status = tc_redis_reader_feed(redis->reader, room, len, err);
    tc_wipe(room, len);
    if (status == 0) status = tc_redis_reader_get(redis->reader, reply, err);
  } while (status == 0);
  return status < 0 ? status : 0;
}

/* One command on the connection there is. What is said about a failure names no place yet. */
static int exchange(tc_redis *redis, tc_str command, double deadline, tc_redis_reply *reply,
                    tc_error *err) {
  int status = tc_stream_send(redis->stream, command, deadline, err);
  if (status == 0) status = await_reply(redis, deadline, reply, err);
  if (status == 0) status = tc_redis_reader_end(redis->reader, err);
  if (status < 0) tc_redis_reply_free(reply);
  return status;
}

/* AUTH or SELECT, whose answer is OK or an error. */
static int prepare(tc_redis *redis, const tc_str *words, size_t count, double deadline,
                   tc_error *err) {
  tc_redis_reply reply = TC_REDIS_REPLY_NONE;
  tc_buf command = TC_BUF_EMPTY;
  int status = tc_redis_format(&command, words, count, err);
  if (status == 0) status = exchange(redis, tc_buf_str(&command), deadline, &reply, err);
  if (status < 0) {
    status = explain(redis, err);
  } else if (reply.type == TC_REDIS_ERROR) {
    status = tc_redis_server_error(err, redis->options.place, reply.text, words, count);
  }
  tc_redis_reply_free(&reply);
  tc_buf_free(&command);
  return status;
}

static int authenticate(tc_redis *redis, double deadline, tc_error *err) {
  const tc_redis_options *options = &redis->options;
  tc_str words[3] = {TC_STR("AUTH")};
  size_t count = 1;
  if (options->password.data == NULL) return 0;
  if (options->username.data != NULL) words[count++] = options->username;
  words[count++] = options->password;
  return prepare(redis, words, count, deadline, err);
}

static int select_db(tc_redis *redis, double deadline, tc_error *err) {
  char db[16];
  if (redis->options.db == 0) return 0;
  (void)snprintf(db, sizeof db, "%d", redis->options.db);
  const tc_str words[] = {TC_STR("SELECT"), tc_str_of(db)};
  return prepare(redis, words, 2, deadline, err);
}

static int open_connection(tc_redis *redis, double deadline, tc_error *err) {
  int status = tc_redis_reader_open(&redis->reader, err);
  if (status == 0) status = tc_stream_open(&redis->stream, &redis->options.stream, deadline, err);
  return status < 0 ? explain(redis, err) : 0;
}

static int connect(tc_redis *redis, tc_error *err) {
  double deadline = tc_monotonic() + redis->options.connect_timeout;
  disconnect(redis);
  int status = open_connection(redis, deadline, err);
  if (status == 0) status = authenticate(redis, deadline, err);
  if (status == 0) status = select_db(redis, deadline, err);
  if (status < 0) {
    disconnect(redis);
    return status;
  }
  redis->was_connected = true;
  redis->used = tc_monotonic_coarse();
  return 0;
}

/* A server that went away is noticed before anything is sent to it, unless it did so just now. */
static bool is_usable(const tc_redis *redis, double now) {
  if (redis->stream == NULL || !tc_stream_is_ours(redis->stream)) return false;
  return now - redis->used < IDLE || tc_stream_is_idle(redis->stream);
}

/* Sends the command; where the connection broke, once more. Connecting does not count against the
   command's time. */
static int send_command(tc_redis *redis, tc_str command, tc_redis_reply *reply,
                        tc_redis_history *history, tc_error *err) {
  double left = redis->options.timeout;
  for (;;) {
    double start = tc_monotonic();
    if (!is_usable(redis, start)) {
      if (redis->was_connected && *history == TC_REDIS_STRAIGHT) *history = TC_REDIS_RECONNECTED;
      int status = connect(redis, err);
      if (status < 0) return status;
      start = tc_monotonic();
    }
    int status = exchange(redis, command, start + left, reply, err);
    redis->used = tc_monotonic_coarse();
    if (status == 0) return 0;
    disconnect(redis);
    left -= tc_monotonic() - start;
    if (status != TC_ERR_NETWORK || *history != TC_REDIS_STRAIGHT) return explain(redis, err);
    *err = TC_ERROR_NONE;
    *history = TC_REDIS_REPEATED;
  }
}

/* After an error reply the connection goes on working, but that to a replica leads nowhere: the
   name or the address may point to the master by the next time. */
static void after_error(tc_redis *redis, const tc_error *err) {
  if (strcmp(err->code, "READONLY") == 0) disconnect(redis);
}

int tc_redis_command(tc_redis *redis, const tc_str *words, size_t count, tc_redis_reply *reply,
                     tc_redis_history *history, tc_error *err) {
  *reply = TC_REDIS_REPLY_NONE;
  *history = TC_REDIS_STRAIGHT;
  int status = tc_redis_format(&redis->command, words, count, err);
  if (status == 0) status = send_command(redis, tc_buf_str(&redis->command), reply, history, err);
  tc_buf_clear(&redis->command);
  if (redis->command.cap > KEPT) tc_buf_free(&redis->command);
  if (status == 0 && reply->type == TC_REDIS_ERROR) {
    status = tc_redis_server_error(err, redis->options.place, reply->text, words, count);
    tc_redis_reply_free(reply);
    after_error(redis, err);
  }
  return status;
}
