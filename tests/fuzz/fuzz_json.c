/* The JSON reader on anything at all, strict and tolerant: it stays inside the text, what it
   accepts reads back the same after it was written, and the tolerant one reads alike what the
   strict one accepts. */
#include "core/json_read.h"
#include "core/json_write.h"
#include "fuzz.h"

/* Reads a text of one leaf. */
static tc_json_event read_leaf(tc_json_reader *reader, tc_buf *text, tc_buf *scratch) {
  tc_json_event event = TC_JSON_NULL, end = TC_JSON_NULL;
  tc_error err;
  tc_json_reader_init(reader, tc_buf_str(text), scratch);
  require(tc_json_read(reader, &event, &err) == 0);
  tc_json_reader copy = *reader;
  require(tc_json_read(&copy, &end, &err) == 0 && end == TC_JSON_END);
  return event;
}

static void check_leaf(tc_json_event event, const tc_json_reader *read) {
  tc_buf text = TC_BUF_EMPTY, scratch = TC_BUF_EMPTY;
  tc_json_reader back;
  switch (event) {
  case TC_JSON_STRING:
  case TC_JSON_KEY:
    require(event == TC_JSON_STRING || memchr(read->string.data, '\0', read->string.len) == NULL);
    require(tc_json_add_string(&text, read->string));
    require(read_leaf(&back, &text, &scratch) == TC_JSON_STRING);
    require(tc_str_equal(back.string, read->string));
    break;
  case TC_JSON_INTEGER:
    tc_json_add_integer(&text, read->integer);
    require(read_leaf(&back, &text, &scratch) == TC_JSON_INTEGER);
    require(back.integer == read->integer);
    break;
  case TC_JSON_REAL:
    require(tc_json_add_real(&text, read->real));
    require(read_leaf(&back, &text, &scratch) == TC_JSON_REAL);
    require(back.real == read->real);
    break;
  default:
    break;
  }
  tc_buf_free(&text);
  tc_buf_free(&scratch);
}

/* How many events there are up to the end; 0: the text is refused. */
static size_t read_all(const uint8_t *data, size_t size, bool tolerant) {
  tc_buf scratch = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  size_t events = 0;
  tc_json_reader_init(&reader, (tc_str){(const char *)data, size}, &scratch);
  if (tolerant) tc_json_tolerate(&reader);
  while (event != TC_JSON_END && tc_json_read(&reader, &event, &err) == 0) {
    check_leaf(event, &reader);
    events++;
  }
  tc_buf_free(&scratch);
  return err.number == 0 ? events : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t strict = read_all(data, size, false), tolerant = read_all(data, size, true);
  require(strict == 0 || strict == tolerant);
  return 0;
}
