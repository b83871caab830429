#include "backend/redis_codec.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "core/secret.h"

/* hiredis 1.0 counts in size_t */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct tc_redis_reader {
  redisReader *reader;
  redisReplyObjectFunctions functions; /* hiredis's own, but for that which makes arrays */
  void *(*create_array)(const redisReadTask *, element_count);
  size_t most_elements;
  bool has_array; /* that was not expected */
};

#define COUNT_SIZE 24     /* of the longest */
#define ELEMENT_LIMIT 512 /* bytes of a reply for each element that it may have */

static char *put(char *to, const char *bytes, size_t len) {
  if (len > 0) memcpy(to, bytes, len);
  return to + len;
}

/* "*2\r\n": so many words; "$3\r\n": a word of so many bytes. */
static char *put_count(char *to, char what, size_t count) {
  char text[COUNT_SIZE];
  char *at = text + sizeof text;
  *--at = '\n';
  *--at = '\r';
  do {
    *--at = (char)('0' + count % 10);
    count /= 10;
  } while (count > 0);
  *--at = what;
  return put(to, at, (size_t)(text + sizeof text - at));
}

/* Not by hiredis, which needs three times as long and leaves copies of secrets behind. */
int tc_redis_format(tc_buf *out, const tc_str *words, size_t count, tc_error *err) {
  size_t room = COUNT_SIZE;
  if (count == 0 || count > TC_REDIS_MOST_ARGUMENTS) {
    return tc_error_set(err, TC_ERR_INVALID, "a command has from 1 to %d words",
                        TC_REDIS_MOST_ARGUMENTS);
  }
  for (size_t i = 0; i < count; i++) room += words[i].len + COUNT_SIZE + 2;
  char *at = tc_buf_reserve(out, room);
  if (at == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  at = put_count(at, '*', count);
  for (size_t i = 0; i < count; i++) {
    at = put_count(at, '$', words[i].len);
    at = put(at, words[i].data, words[i].len);
    at = put(at, "\r\n", 2);
  }
  *at = '\0';
  out->len = (size_t)(at - out->data);
  return 0;
}

size_t tc_redis_words(tc_str command, tc_str words[TC_REDIS_MOST_ARGUMENTS]) {
  char *at;
  size_t count = strtoul(command.data + 1, &at, 10);
  for (size_t i = 0; i < count; i++) {
    words[i].len = strtoul(at + 3, &at, 10); /* behind "\r\n$" */
    words[i].data = at + 2;
    at += 2 + words[i].len;
  }
  return count;
}

/* A few bytes could ask for an array of any size. hiredis takes NULL for a lack of memory. */
static void *create_array(const redisReadTask *task, element_count elements) {
  tc_redis_reader *reader = task->privdata;
  if (reader->most_elements > 0 && (size_t)elements <= reader->most_elements) {
    return reader->create_array(task, elements);
  }
  reader->has_array = true;
  return NULL;
}

int tc_redis_reader_open(tc_redis_reader **to, tc_error *err) {
  tc_redis_reader *reader = calloc(1, sizeof *reader);
  *to = NULL;
  if (reader != NULL) reader->reader = redisReaderCreate();
  if (reader == NULL || reader->reader == NULL) {
    free(reader);
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  reader->functions = *reader->reader->fn;
  reader->create_array = reader->functions.createArray;
  reader->functions.createArray = create_array;
  reader->reader->fn = &reader->functions;
  reader->reader->privdata = reader;
  reader->reader->maxbuf =
      0; /* where it shrinks its buffer, 0.14 does not survive a lack of memory */
  *to = reader;
  return 0;
}

static int not_a_reply(tc_error *err, const char *what) {
  memcpy(err->code, TC_REDIS_CODE_PROTOCOL, sizeof TC_REDIS_CODE_PROTOCOL);
  return tc_error_set(err, TC_ERR_PROTOCOL, "%s; check that it is a Redis server", what);
}

/* hiredis's own words quote the byte that it stumbled on. */
static int explain(const tc_redis_reader *reader, tc_error *err) {
  if (reader->has_array) return not_a_reply(err, "an array came where none was asked for");
  if (reader->reader->err == REDIS_ERR_OOM) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  return not_a_reply(err, "an answer that is not Redis's protocol");
}

int tc_redis_reader_feed(tc_redis_reader *reader, const char *bytes, size_t len, tc_error *err) {
  const redisReader *it = reader->reader;
  bool is_array = reader->most_elements > 0;
  size_t limit = is_array ? reader->most_elements * ELEMENT_LIMIT : TC_REDIS_REPLY_LIMIT;
  if (it->len - it->pos > limit || len > limit - (it->len - it->pos)) {
    return not_a_reply(err, is_array ? "a list that is too long" : "a reply larger than 16 MiB");
  }
  return redisReaderFeed(reader->reader, bytes, len) == REDIS_OK ? 0 : explain(reader, err);
}

static bool convert(const redisReply *from, tc_redis_reply *reply) {
  switch (from->type) {
  case REDIS_REPLY_NIL:
    reply->type = TC_REDIS_NIL;
    return true;
  case REDIS_REPLY_INTEGER:
    reply->type = TC_REDIS_INTEGER;
    reply->integer = from->integer;
    return true;
  case REDIS_REPLY_STRING:
  case REDIS_REPLY_STATUS:
  case REDIS_REPLY_ERROR:
    reply->type = from->type == REDIS_REPLY_ERROR ? TC_REDIS_ERROR : TC_REDIS_STRING;
    reply->text = (tc_str){from->str, (size_t)from->len};
    return true;
  case REDIS_REPLY_ARRAY:
    reply->type = TC_REDIS_ARRAY;
    return true;
  default:
    return false;
  }
}

int tc_redis_reader_get(tc_redis_reader *reader, tc_redis_reply *reply, tc_error *err) {
  void *got = NULL;
  *reply = TC_REDIS_REPLY_NONE;
  if (redisReaderGetReply(reader->reader, &got) != REDIS_OK) return explain(reader, err);
  if (got == NULL) return 0;
  reply->owned = got;
  if (convert(got, reply)) return 1;
  tc_redis_reply_free(reply);
  return not_a_reply(err, "a reply of another kind than was asked for");
}

void tc_redis_reader_expect_array(tc_redis_reader *reader, size_t most_elements) {
  reader->most_elements = most_elements;
}

size_t tc_redis_reply_count(const tc_redis_reply *reply) {
  const redisReply *array = reply->owned;
  return reply->type == TC_REDIS_ARRAY ? (size_t)array->elements : 0;
}

tc_redis_reply tc_redis_reply_at(const tc_redis_reply *reply, size_t index) {
  tc_redis_reply element = TC_REDIS_REPLY_NONE;
  const redisReply *array = reply->owned;
  if (index < tc_redis_reply_count(reply) && convert(array->element[index], &element)) {
    element.owned = array->element[index];
  }
  return element;
}

int tc_redis_reader_end(const tc_redis_reader *reader, tc_error *err) {
  if (reader->reader->pos == reader->reader->len) return 0;
  return not_a_reply(err, "more came than was asked for");
}

void tc_redis_reader_close(tc_redis_reader *reader) {
  if (reader == NULL) return;
  redisReaderFree(reader->reader);
  free(reader);
}

void tc_redis_reply_free(tc_redis_reply *reply) {
  redisReply *owned = reply->owned;
  if (owned != NULL) {
    tc_wipe(owned->str, owned->str != NULL ? (size_t)owned->len : 0);
    freeReplyObject(owned);
  }
  *reply = TC_REDIS_REPLY_NONE;
}
