#include "core/json_read.h"
#include "core/json_write.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

/* Reads all of `text` and checks its events, one letter each; a text that is refused ends in "!".
 */
static void check_events(const char *text, const char *events, tc_error *err) {
  static const char letters[] = "{}[]ksirtfn.";
  tc_buf scratch = TC_BUF_EMPTY, seen = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  *err = TC_ERROR_NONE;
  tc_json_reader_init(&reader, tc_str_of(text), &scratch);
  while (event != TC_JSON_END && err->number == 0) {
    int rc = tc_json_read(&reader, &event, err);
    tc_buf_add_char(&seen, rc == 0 ? letters[event] : '!');
  }
  CHECK_STR(tc_buf_str(&seen), tc_str_of(events));
  tc_buf_free(&scratch);
  tc_buf_free(&seen);
}

static void test_reads_the_events_in_order(void) {
  tc_error err;
  check_events("{\"a\":[1,2.5,\"x\",true,false,null,{},[]],\"b\":{\"c\":-1}}",
               "{k[irstfn{}[]]k{ki}}.", &err);
  check_events(" 1 ", "i.", &err);
  check_events("[]", "[].", &err);
}

static void test_says_where_it_failed(void) {
  tc_error err;
  check_events("{\"a\":\n [1,,2]}", "{k[i!", &err);
  CHECK_NUM(err.number, TC_ERR_PROTOCOL);
  CHECK_TEXT(err.message, "not JSON: unexpected character at line 2 column 5");
  check_events("[\"\303\251\" x]", "[s!", &err);
  CHECK_TEXT(err.message, "not JSON: unexpected character at line 1 column 6");
  check_events("", "!", &err);
  CHECK_TEXT(err.message, "not JSON: the text ends too early at line 1 column 1");
}

/* The text lies in memory of its exact size, so that a sanitizer sees a read beyond it. */
static void test_stays_inside_a_text_cut_anywhere(void) {
  static const char whole[] = "{\"k\\u00e9\\ud83d\\ude00\303\251\":[-12.5e+3,true,null,\"\\n\"]}";
  for (size_t len = 0; len < sizeof whole - 1; len++) {
    tc_buf scratch = TC_BUF_EMPTY;
    char *text = malloc(len + 1); /* one byte before it: malloc(0) may be NULL */
    REQUIRE(text != NULL);
    memcpy(text + 1, whole, len);
    tc_json_reader reader;
    tc_json_event event = TC_JSON_NULL;
    tc_error err = TC_ERROR_NONE;
    tc_json_reader_init(&reader, (tc_str){text + 1, len}, &scratch);
    while (event != TC_JSON_END && err.number == 0) (void)tc_json_read(&reader, &event, &err);
    CHECK_NUM(err.number, TC_ERR_PROTOCOL);
    tc_buf_free(&scratch);
    free(text);
  }
}

static void test_writes_reals_that_read_back(void) {
  static const double values[] = {0.1,       1.0,    -0.0,
                                  1e22,      5e-324, 1.7976931348623157e308,
                                  0.1 + 0.2, 1e-7,   123456789012345680.0,
                                  2.0 / 3};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    tc_buf text = TC_BUF_EMPTY, scratch = TC_BUF_EMPTY;
    tc_json_reader reader;
    tc_json_event event;
    tc_error err = TC_ERROR_NONE;
    CHECK(tc_json_add_real(&text, values[i]));
    tc_json_reader_init(&reader, tc_buf_str(&text), &scratch);
    CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
    CHECK_NUM(event, TC_JSON_REAL);
    CHECK_NUM(reader.real, values[i]);
    CHECK(signbit(reader.real) == signbit(values[i]));
    tc_buf_free(&text);
    tc_buf_free(&scratch);
  }
}

static void test_refuses_what_json_cannot_say(void) {
  tc_buf text = TC_BUF_EMPTY;
  CHECK(!tc_json_add_real(&text, INFINITY));
  CHECK(!tc_json_add_real(&text, -INFINITY));
  CHECK(!tc_json_add_real(&text, NAN));
  CHECK(!tc_json_add_string(&text, TC_STR("a\377")));
  tc_buf_free(&text);
}

static void test_writes_ascii(void) {
  tc_buf text = TC_BUF_EMPTY;
  CHECK(tc_json_add_string(&text, TC_STR("a\"\\\n\0\x7f\303\251\360\237\230\200")));
  CHECK_STR(tc_buf_str(&text), TC_STR("\"a\\\"\\\\\\n\\u0000\\u007f\\u00e9\\ud83d\\ude00\""));
  tc_buf_clear(&text);
  tc_json_add_integer(&text, INT64_MIN);
  CHECK_STR(tc_buf_str(&text), TC_STR("-9223372036854775808"));
  tc_buf_free(&text);
}

int main(void) {
  RUN(test_reads_the_events_in_order);
  RUN(test_says_where_it_failed);
  RUN(test_stays_inside_a_text_cut_anywhere);
  RUN(test_writes_reals_that_read_back);
  RUN(test_refuses_what_json_cannot_say);
  RUN(test_writes_ascii);
  return done();
}
