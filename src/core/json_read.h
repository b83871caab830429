/* Reads JSON (RFC 8259) one event at a time, straight from the text: nothing is built.

   Stricter than the grammar where a token could change silently: duplicate keys are for the caller
   to refuse, numbers that fit neither int64 nor double, broken UTF-8 and lone surrogates are
   refused here. An error tells the reason and the place, and never quotes the text.

   A tolerant reader refuses a text only where it cannot tell where a value ends. */
#pragma once

#include <stdint.h>

#include "core/buf.h"
#include "core/error.h"

#define TC_JSON_MAX_DEPTH 64

typedef enum tc_json_event {
  TC_JSON_OBJECT,
  TC_JSON_OBJECT_END,
  TC_JSON_ARRAY,
  TC_JSON_ARRAY_END,
  TC_JSON_KEY,
  TC_JSON_STRING,
  TC_JSON_INTEGER,
  TC_JSON_REAL,
  TC_JSON_TRUE,
  TC_JSON_FALSE,
  TC_JSON_NULL,
  TC_JSON_END /* the text is read to its end */
} tc_json_event;

typedef struct tc_json_reader {
  /* of the event last read */
  tc_str string; /* KEY, STRING; valid until the next read */
  int64_t integer;
  double real;

  /* private */
  tc_str text;
  tc_buf *scratch;
  bool tolerant;
  size_t at;
  size_t start; /* of the token being read */
  int state;
  int depth;
  bool is_object[TC_JSON_MAX_DEPTH];
} tc_json_reader;

/* Borrows both: `text` is what is read, `scratch` holds strings whose escapes were resolved. */
void tc_json_reader_init(tc_json_reader *reader, tc_str text, tc_buf *scratch);

/* Right after tc_json_reader_init, for what others wrote. A byte order mark is skipped (RFC 8259
   §8.1). Whatever in a string is no character, and a NUL in a key, is read as U+FFFD (§8.2); a
   number that fits neither int64 nor double as the nearest finite double (§6), an integer as a REAL
   then. All of it can be written again. */
void tc_json_tolerate(tc_json_reader *reader);

/* TC_ERR_PROTOCOL where the text is not JSON. After an error the reader is done for. */
int tc_json_read(tc_json_reader *reader, tc_json_event *event, tc_error *err);

/* Makes an error like the reader's own, for a caller that refuses what it just read. */
int tc_json_refuse(const tc_json_reader *reader, const char *reason, tc_error *err);
