/* A conversation with servers that say anything at any time. The input is read as what happens
   next: a byte tells what, and the bytes after it are what comes in. Every conversation ends, by
   the times that it was given; it wants nothing that it may not want then, and its error can be
   shown and holds no secret. */
#define _GNU_SOURCE
#include "backend/redis_talk.h"
#include "fuzz.h"

#define SECRET "hunter22-word"
#define MOST_STEPS 4096 /* of a conversation: far more than its deadlines leave it */

typedef struct input {
  const uint8_t *data;
  size_t left;
} input;

static uint8_t next(input *from) {
  if (from->left == 0) return 0;
  from->left--;
  return *from->data++;
}

/* At most 63 bytes, or one of the replies that lead on. A server may echo the secret that it was
   sent. */
static tc_str next_bytes(input *from, tc_str sent) {
  static const char *const replies[] = {"+OK\r\n",
                                        "*2\r\n$4\r\nhost\r\n$2\r\n99\r\n",
                                        "*1\r\n$6\r\nmaster\r\n",
                                        "*1\r\n$5\r\nslave\r\n",
                                        "-READONLY x\r\n",
                                        "-WRONGPASS x " SECRET "\r\n",
                                        "-NOAUTH x\r\n",
                                        "*-1\r\n",
                                        ":1\r\n",
                                        "*2\r\n*3\r\n:0\r\n:8000\r\n*2\r\n$1\r\na\r\n:1\r\n"
                                        "*3\r\n:8001\r\n:16383\r\n*2\r\n$1\r\nb\r\n:1\r\n",
                                        "*1\r\n*4\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:9\r\n"
                                        "*2\r\n$1\r\na\r\n:1\r\n",
                                        "-MOVED 12539 a:1\r\n",
                                        "-ASK 12539 c:2\r\n",
                                        "-TRYAGAIN x\r\n",
                                        "-CLUSTERDOWN x\r\n"};
  uint8_t how = next(from);
  if (how < 64) {
    tc_str reply = tc_str_of(replies[how % (sizeof replies / sizeof *replies)]);
    bool is_echo = strstr(reply.data, SECRET) != NULL && strstr(sent.data, SECRET) == NULL;
    return is_echo ? TC_STR("-ERR\r\n") : reply;
  }
  size_t len = how % 64 < from->left ? how % 64 : from->left;
  tc_str bytes = {(const char *)from->data, len};
  from->data += len;
  from->left -= len;
  return bytes;
}

static void fail(tc_redis_talk *talk, uint8_t how, double now) {
  static const int numbers[] = {TC_ERR_NETWORK, TC_ERR_CONNECT, TC_ERR_TIMEOUT, TC_ERR_TLS};
  tc_error cause = TC_ERROR_NONE;
  (void)tc_error_set(&cause, numbers[how % 4], NULL);
  tc_redis_talk_failed(talk, &cause, NULL, now);
}

static void step(tc_redis_talk *talk, input *from, double *now) {
  uint8_t what = next(from);
  *now += (what & 7) / 8.0;
  if (*now > talk->deadline && talk->action != TC_REDIS_SLEEP) *now = talk->deadline;
  require(talk->deadline >= *now - 1 || talk->action == TC_REDIS_SEND);
  if (from->left == 0) what = 8; /* silence */
  switch (talk->action) {
  case TC_REDIS_USE:
    require(talk->address.host != NULL || talk->address.path != NULL);
    if (what & 8)
      fail(talk, what >> 4, *now);
    else
      tc_redis_talk_connected(talk, talk->is_sentinel || what & 16, *now);
    break;
  case TC_REDIS_SEND:
  case TC_REDIS_RECEIVE:
    require(talk->action == TC_REDIS_RECEIVE || talk->bytes.len > 0);
    if (what & 8) {
      fail(talk, what >> 4, *now);
    } else {
      tc_str bytes = next_bytes(from, talk->bytes);
      tc_redis_talk_received(talk, bytes.data, bytes.len, *now);
    }
    break;
  case TC_REDIS_SLEEP:
    *now = talk->deadline;
    tc_redis_talk_slept(talk, *now);
    break;
  case TC_REDIS_PASSWORD:
    tc_redis_talk_give_password(talk, TC_STR(SECRET), *now);
    break;
  default:
    abort();
  }
}

static void converse(tc_redis_talk *talk, tc_redis_known *known, input *from, double *now) {
  const tc_str words[] = {TC_STR("SET"), TC_STR("key"), TC_STR(SECRET)};
  const tc_str list[] = {TC_STR("CLUSTER"), TC_STR("SLOTS")};
  int steps = 0;
  uint8_t how = next(from);
  tc_redis_talk_begin(talk, known, how & 2 ? list : words, how & 2 ? 2 : 3, *now);
  if (how & 1) tc_redis_talk_lost(talk, *now);
  while (talk->action != TC_REDIS_DONE) {
    require(++steps < MOST_STEPS);
    step(talk, from, now);
  }
  if (talk->status < 0) {
    require_error(&talk->err, talk->status);
    require(strstr(talk->err.message, SECRET) == NULL);
    require(strstr(talk->err.description, SECRET) == NULL);
  }
  tc_redis_talk_end(talk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (memmem(data, size, SECRET, strlen(SECRET)) != NULL) return -1; /* who guessed it */
  input from = {data, size};
  uint8_t with = next(&from);
  tc_redis_known known = {.options = {
                              .place = "place",
                              .address = {.host = "host", .port = 1},
                              .password = with & 1 ? TC_STR(SECRET) : TC_STR_NONE,
                              .asks_password = with & 2,
                              .db = with & 4 ? 1 : 0,
                              .connect_timeout = 5,
                              .timeout = 5,
                              .replicas = with >> 6 & 1,
                              .sentinels = {{.host = "one", .port = 2}, {.host = "two", .port = 3}},
                              .sentinel_count = with & 128 ? 0 : with >> 3 & 2,
                              .seeds = {{.host = "one", .port = 2}, {.host = "two", .port = 3}},
                              .seed_count = with >> 6 & 2,
                              .sentinel_password = with & 32 ? TC_STR(SECRET) : TC_STR_NONE,
                              .master = TC_STR("name"),
                          }};
  tc_redis_talk talk = {0};
  double now = 0;
  while (from.left > 0) converse(&talk, &known, &from, &now);
  tc_redis_talk_free(&talk);
  tc_redis_cluster_free(&known.cluster);
  return 0;
}
