#include "core/callback.h"
#include "test.h"

static int read_text(tc_callback *callback, tc_str text) {
  tc_error err = TC_ERROR_NONE;
  *callback = (tc_callback){0};
  int rc = tc_callback_read(callback, text, &err);
  CHECK_NUM(err.number, rc);
  return rc;
}

static void check_code(const char *text, const char *code, const char *state) {
  tc_callback callback;
  if (!CHECK_NUM(read_text(&callback, tc_str_of(text)), 0)) printf("#   %s\n", text);
  CHECK_STR(tc_buf_str(&callback.code), tc_str_of(code));
  CHECK_STR(tc_buf_str(&callback.state), tc_str_of(state));
  tc_callback_free(&callback);
}

static void check_refused(tc_str text) {
  tc_callback callback;
  if (!CHECK_NUM(read_text(&callback, text), TC_ERR_PROTOCOL)) {
    printf("#   %.*s\n", (int)text.len, text.data);
  }
  tc_callback_free(&callback);
}

static void test_all_shapes_of_a_response(void) {
  check_code("http://127.0.0.1:8080/cb?code=c&state=s", "c", "s");
  check_code("https://app.example/cb?x=1#code=c&state=s", "c", "s");
  check_code("https://app.example/cb?code=c#state=s", "c", "s");
  check_code("https://app.example/cb#code=c?&state=s", "c?", "s");
  check_code("?code=c&state=s", "c", "s");
  check_code("#code=c&state=s", "c", "s");
  check_code("code=c&state=s", "c", "s");
  check_code(" \t?code=c&state=s\r\n", "c", "s");
  check_code("AQBx-_.~8", "AQBx-_.~8", "");
}

static void test_values_are_decoded(void) {
  check_code("?code=a%20b+c&%73tate=%C3%A9", "a b c", "é");
  check_code("?&&code=c&&state=s=t&", "c", "s=t");
}

static void test_what_is_unknown_is_passed_over(void) {
  check_code("?code=c&state=s&x=%zz&x=1&code[]=d", "c", "s");
}

static void test_absent_and_empty_differ(void) {
  tc_callback callback;
  CHECK_NUM(read_text(&callback, TC_STR("?code=&state")), 0);
  CHECK(callback.code.data != NULL && callback.code.len == 0);
  CHECK(callback.state.data != NULL && callback.state.len == 0);
  CHECK(callback.error.data == NULL);
  tc_callback_free(&callback);
}

static void test_what_is_refused(void) {
  check_refused(TC_STR(""));
  check_refused(TC_STR(" \n"));
  check_refused(TC_STR_NONE);
  check_refused(TC_STR("https://app.example/cb"));
  check_refused(TC_STR("?code=a&code=a"));
  check_refused(TC_STR("?code=a#code=a"));
  check_refused(TC_STR("?code=a&c%6fde=b"));
  check_refused(TC_STR("?code=%"));
  check_refused(TC_STR("?code=%4"));
  check_refused(TC_STR("?code=%4g"));
  check_refused(TC_STR("?%4=a"));
  check_refused(TC_STR("?code=a%00"));
  check_refused(TC_STR("?code=a\0b"));
  check_refused(TC_STR("a\0b"));
}

static void test_the_longest_response(void) {
  static char text[TC_CALLBACK_MAX + 1];
  tc_callback callback;
  memset(text, 'y', sizeof text);
  memcpy(text, "?code=", 6);
  CHECK_NUM(read_text(&callback, (tc_str){text, TC_CALLBACK_MAX}), 0);
  CHECK_NUM(callback.code.len, TC_CALLBACK_MAX - 6);
  tc_callback_free(&callback);
  check_refused((tc_str){text, TC_CALLBACK_MAX + 1});
}

static int check_against(const char *text, tc_callback_expectation expected, tc_error *err) {
  tc_callback callback;
  *err = TC_ERROR_NONE;
  CHECK_NUM(read_text(&callback, tc_str_of(text)), 0);
  int rc = tc_callback_check(&callback, &expected, err);
  CHECK_NUM(err->number, rc);
  tc_callback_free(&callback);
  return rc;
}

static void test_the_state_must_be_ours(void) {
  static const tc_callback_expectation ours = {.state = {"s3", 2}};
  tc_error err;
  CHECK_NUM(check_against("?code=c&state=s3", ours, &err), 0);
  CHECK_NUM(check_against("?code=c&state=s", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?code=c&state=s33", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?code=c&state=S3", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?code=c&state=", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?code=c", ours, &err), TC_ERR_STATE);
  CHECK(err.kind == TC_KIND_STATE);
}

static void test_the_issuer_must_be_ours(void) {
  tc_callback_expectation ours = {.state = {"s", 1}, .issuer = {"https://i", 9}};
  tc_error err;
  CHECK_NUM(check_against("?state=s&iss=https%3A%2F%2Fi", ours, &err), 0);
  CHECK_NUM(check_against("?state=s&iss=https://j", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?state=s&iss=", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?code=c&state=s", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("?error=e&state=s", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("#access_token=t&state=s", ours, &err), TC_ERR_STATE);
  CHECK_NUM(check_against("/login?client_id=c&state=s", ours, &err), 0);
  ours.iss_optional = true;
  CHECK_NUM(check_against("?state=s", ours, &err), 0);
  CHECK_NUM(check_against("?state=s&iss=https://j", ours, &err), TC_ERR_STATE);
  ours.issuer = TC_STR_NONE;
  CHECK_NUM(check_against("?state=s&iss=https://j", ours, &err), 0);
}

static void test_a_denial_is_told_in_printable_words(void) {
  static const tc_callback_expectation ours = {.state = {"s", 1}};
  tc_error err;
  CHECK_NUM(check_against("?error=access_denied&error_description=%1B[2Jno%0A&state=s", ours, &err),
            TC_ERR_DENIED);
  CHECK_TEXT(err.code, "access_denied");
  CHECK_TEXT(err.description, "?[2Jno?");
  CHECK_TEXT(err.message, "the login was refused: access_denied - ?[2Jno?");
  CHECK_NUM(check_against("?error=access_denied&code=c&state=s", ours, &err), TC_ERR_DENIED);
  CHECK_TEXT(err.message, "the login was refused: access_denied");
  CHECK_NUM(check_against("?error=access_denied&state=t", ours, &err), TC_ERR_STATE);
  CHECK_TEXT(err.code, "");
}

int main(void) {
  RUN(test_all_shapes_of_a_response);
  RUN(test_values_are_decoded);
  RUN(test_what_is_unknown_is_passed_over);
  RUN(test_absent_and_empty_differ);
  RUN(test_what_is_refused);
  RUN(test_the_longest_response);
  RUN(test_the_state_must_be_ours);
  RUN(test_the_issuer_must_be_ours);
  RUN(test_a_denial_is_told_in_printable_words);
  return done();
}
