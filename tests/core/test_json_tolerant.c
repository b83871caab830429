/* The tolerant JSON reader: what a strict one refuses is read, and can be written again. */
#include "core/json_read.h"
#include "core/json_write.h"
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define FFFD "\357\277\275"

static void begin(tc_json_reader *reader, tc_str text, tc_buf *scratch) {
  tc_json_reader_init(reader, text, scratch);
  tc_json_tolerate(reader);
}

static bool is_refused_strictly(tc_str text) {
  tc_buf scratch = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  tc_json_reader_init(&reader, text, &scratch);
  while (event != TC_JSON_END && tc_json_read(&reader, &event, &err) == 0) continue;
  tc_buf_free(&scratch);
  return err.number != 0;
}

static void check_string(tc_str text, tc_str want) {
  tc_buf scratch = TC_BUF_EMPTY, again = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  CHECK(is_refused_strictly(text));
  begin(&reader, text, &scratch);
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_NUM(event, TC_JSON_STRING);
  CHECK_STR(reader.string, want);
  CHECK(tc_json_add_string(&again, reader.string));
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_NUM(event, TC_JSON_END);
  tc_buf_free(&scratch);
  tc_buf_free(&again);
}

static void test_half_a_surrogate_pair_is_replaced(void) {
  check_string(TC_STR("\"a\\ud83d\""), TC_STR("a" FFFD));
  check_string(TC_STR("\"\\ude00b\""), TC_STR(FFFD "b"));
  check_string(TC_STR("\"\\ud83dx\""), TC_STR(FFFD "x"));
  check_string(TC_STR("\"\\ud83d\\n\""), TC_STR(FFFD "\n"));
  check_string(TC_STR("\"\\ud83d\\u0041\""), TC_STR(FFFD "A"));
  check_string(TC_STR("\"\\ud83d\\ud83d\\ude00\""), TC_STR(FFFD "\360\237\230\200"));
  check_string(TC_STR("\"\\ud83d\\u12\""), TC_STR(FFFD FFFD));
}

static void test_broken_utf8_is_replaced_byte_by_byte(void) {
  check_string(TC_STR("\"a\377b\""), TC_STR("a" FFFD "b"));
  check_string(TC_STR("\"\303\251\300\200\""), TC_STR("\303\251" FFFD FFFD));
  check_string(TC_STR("\"\355\240\275\""), TC_STR(FFFD FFFD FFFD));
  check_string(TC_STR("\"\342\202\""), TC_STR(FFFD FFFD));
}

static void test_whatever_is_no_character_is_replaced(void) {
  check_string(TC_STR("\"a\nb\0c\""), TC_STR("a" FFFD "b" FFFD "c"));
  check_string(TC_STR("\"O\\'Neil\""), TC_STR("O" FFFD "'Neil"));
  check_string(TC_STR("\"\\u12g4\""), TC_STR(FFFD "g4"));
  check_string(TC_STR("\"\\u\""), TC_STR(FFFD));
}

static void check_real(const char *text, double want) {
  tc_buf scratch = TC_BUF_EMPTY, again = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  CHECK(is_refused_strictly(tc_str_of(text)));
  begin(&reader, tc_str_of(text), &scratch);
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_NUM(event, TC_JSON_REAL);
  CHECK_NUM(reader.real, want);
  CHECK(signbit(reader.real) == signbit(want));
  CHECK(tc_json_add_real(&again, reader.real));
  CHECK(!is_refused_strictly(tc_buf_str(&again)));
  tc_buf_free(&scratch);
  tc_buf_free(&again);
}

static void test_numbers_are_the_nearest_double(void) {
  check_real("18446744073709551615", 18446744073709551615.0);
  check_real("9223372036854775808", 9223372036854775808.0);
  check_real("-9223372036854775809", -9223372036854775809.0);
  check_real("1e999", DBL_MAX);
  check_real("-1e999", -DBL_MAX);
  check_real("1e-999", 0.0);
  check_real("-1e-999", -0.0);
}

static void test_an_integer_of_a_thousand_digits_stays_finite(void) {
  char digits[1001];
  memset(digits, '9', 1000);
  digits[1000] = '\0';
  check_real(digits, DBL_MAX);
}

static void test_a_nul_in_a_key_is_replaced(void) {
  static const tc_str text = {"{\"a\\u0000\":\"b\\u0000\"}", 20};
  tc_buf scratch = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  begin(&reader, text, &scratch);
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_NUM(event, TC_JSON_KEY);
  CHECK_STR(reader.string, TC_STR("a" FFFD));
  CHECK_NUM(tc_json_read(&reader, &event, &err), 0);
  CHECK_STR(reader.string, TC_STR("b\0")); /* a value may hold one */
  tc_buf_free(&scratch);
}

/* Whether the text is read to its end. It lies in memory of its exact size, so that a sanitizer
   sees a read beyond it. */
static bool is_read(tc_str text) {
  tc_buf scratch = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err = TC_ERROR_NONE;
  char *copy = malloc(text.len + 1); /* one byte before it: malloc(0) may be NULL */
  if (!CHECK(copy != NULL)) return false;
  memcpy(copy + 1, text.data, text.len);
  begin(&reader, (tc_str){copy + 1, text.len}, &scratch);
  while (event != TC_JSON_END && tc_json_read(&reader, &event, &err) == 0) continue;
  tc_buf_free(&scratch);
  free(copy);
  return err.number == 0;
}

static void test_a_byte_order_mark_is_skipped(void) {
  CHECK(is_read(TC_STR("\357\273\277{}")));
  CHECK(is_read(TC_STR("\357\273\277 {}")));
  CHECK(!is_read(TC_STR("\357\273\277\357\273\277{}")));
  CHECK(!is_read(TC_STR(" \357\273\277{}")));
  CHECK(!is_read(TC_STR("\357\273{}")));
  CHECK(!is_read(TC_STR("\357\273\277")));
  CHECK(is_refused_strictly(TC_STR("\357\273\277{}")));
}

static void test_where_a_value_ends_is_never_guessed(void) {
  static const char *const texts[] = {
      "",         "{",       "{\"a\":1",  "{\"a\":1,}", "{a:1}",    "[1}",     "[1 2]", "\"a",
      "\"a\\",    "\"a\\\"", "\"\\ud83d", "\"\\u",      "[01]",     "[1.]",    "[+1]",  "NaN",
      "Infinity", "{} {}",   "{\"a\" 1}", "{'a':1}",    "<p>login", "a=1&b=2", "[tru]", "-",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (!CHECK(!is_read(tc_str_of(texts[i])))) printf("#   %s\n", texts[i]);
  }
}

static void test_stays_inside_a_text_cut_anywhere(void) {
  static const char whole[] = "\357\273\277{\"k\\u0000\\ud83d\\ud83d\\ude00\303\251\377\":"
                              "[-12.5e+999,18446744073709551615,\"\\x\\ude00\342\202\"]}";
  for (size_t len = 0; len < sizeof whole - 1; len++) CHECK(!is_read((tc_str){whole, len}));
  CHECK(is_read((tc_str){whole, sizeof whole - 1}));
}

int main(void) {
  RUN(test_half_a_surrogate_pair_is_replaced);
  RUN(test_broken_utf8_is_replaced_byte_by_byte);
  RUN(test_whatever_is_no_character_is_replaced);
  RUN(test_numbers_are_the_nearest_double);
  RUN(test_an_integer_of_a_thousand_digits_stays_finite);
  RUN(test_a_nul_in_a_key_is_replaced);
  RUN(test_a_byte_order_mark_is_skipped);
  RUN(test_where_a_value_ends_is_never_guessed);
  RUN(test_stays_inside_a_text_cut_anywhere);
  return done();
}
