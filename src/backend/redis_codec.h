/* Redis's protocol (RESP 2), without I/O: commands into bytes, and bytes into replies by hiredis.
   Only what a cache needs: a reply is a string, an integer, nil or an error, and an array only
   where one is expected. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

#define TC_REDIS_MOST_ARGUMENTS 16
#define TC_REDIS_REPLY_LIMIT ((size_t)16 << 20) /* bytes of a reply */
#define TC_REDIS_CODE_PROTOCOL "PROTOCOL"       /* err->code where the bytes are no reply */

typedef struct tc_redis_reader tc_redis_reader;

typedef enum tc_redis_type {
  TC_REDIS_NIL,
  TC_REDIS_STRING, /* or a status, such as OK */
  TC_REDIS_INTEGER,
  TC_REDIS_ERROR, /* the server's words */
  TC_REDIS_ARRAY,
} tc_redis_type;

typedef struct tc_redis_reply {
  tc_redis_type type;
  tc_str text;
  long long integer;
  void *owned; /* what `text` points into */
} tc_redis_reply;

#define TC_REDIS_REPLY_NONE ((tc_redis_reply){TC_REDIS_NIL, TC_STR_NONE, 0, NULL})

/* Appends the command of at most TC_REDIS_MOST_ARGUMENTS words. */
int tc_redis_format(tc_buf *out, const tc_str *words, size_t count, tc_error *err);

/* The words of a command that was formatted, in place; returns how many there are. */
size_t tc_redis_words(tc_str command, tc_str words[TC_REDIS_MOST_ARGUMENTS]);

int tc_redis_reader_open(tc_redis_reader **reader, tc_error *err);

int tc_redis_reader_feed(tc_redis_reader *reader, const char *bytes, size_t len, tc_error *err);

/* Takes the next reply out: 1, or 0 if it has not come whole. Replaces nothing: free the last reply
   first. After an error the reader is of no more use, nor is the connection. */
int tc_redis_reader_get(tc_redis_reader *reader, tc_redis_reply *reply, tc_error *err);

/* From now on an array is a reply, one of so many elements at the most; 0: none is. */
void tc_redis_reader_expect_array(tc_redis_reader *reader, size_t most_elements);

/* How many elements an array has; 0 where it is none. */
size_t tc_redis_reply_count(const tc_redis_reply *reply);

/* The element at `index`, from 0, which remains the array's; nil where there is none. */
tc_redis_reply tc_redis_reply_at(const tc_redis_reply *reply, size_t index);

/* After a reply: fails if more has come than that. */
int tc_redis_reader_end(const tc_redis_reader *reader, tc_error *err);

void tc_redis_reader_close(tc_redis_reader *reader);

/* Erases and frees what the reply holds. */
void tc_redis_reply_free(tc_redis_reply *reply);
