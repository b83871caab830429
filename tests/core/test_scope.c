#include "core/scope.h"
#include "test.h"

static void check_normalized(tc_str text, const char *want) {
  tc_buf out = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_scope_normalize(&out, text, &err), 0);
  CHECK_STR(tc_buf_str(&out), tc_str_of(want));
  tc_buf_free(&out);
}

static void check_refused(tc_str text) {
  tc_buf out = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_scope_normalize(&out, text, &err), TC_ERR_INVALID);
  CHECK_NUM(out.len, 0);
  tc_buf_free(&out);
}

static void test_sorts_and_joins(void) {
  check_normalized(TC_STR("b,a c"), "a b c");
  check_normalized(TC_STR("  b ,\t, a\r\n"), "a b");
  check_normalized(TC_STR("user-read user"), "user user-read");
}

static void test_keeps_each_once(void) {
  check_normalized(TC_STR("a b a,b a"), "a b");
}

static void test_nothing_is_no_scope(void) {
  check_normalized(TC_STR(""), "");
  check_normalized(TC_STR_NONE, "");
  check_normalized(TC_STR(" , "), "");
}

static void test_allows_the_whole_alphabet_of_rfc6749(void) {
  check_normalized(TC_STR("https://x.example/y#z!'()*[]^_`{|}~"),
                   "https://x.example/y#z!'()*[]^_`{|}~");
}

static void test_refuses_other_characters(void) {
  check_refused(TC_STR("a\"b"));
  check_refused(TC_STR("a\\b"));
  check_refused(TC_STR("a\0b"));
  check_refused(TC_STR("a\177"));
  check_refused(TC_STR("caf\303\251"));
  check_refused(TC_STR("a\vb"));
}

static void test_subset(void) {
  CHECK(tc_scope_is_subset(TC_STR("a"), TC_STR("b a")));
  CHECK(tc_scope_is_subset(TC_STR("b a"), TC_STR("a b c")));
  CHECK(tc_scope_is_subset(TC_STR("a b"), TC_STR("a,b")));
  CHECK(!tc_scope_is_subset(TC_STR("a b"), TC_STR("a")));
  CHECK(!tc_scope_is_subset(TC_STR("a"), TC_STR("aa a-b ba")));
  CHECK(!tc_scope_is_subset(TC_STR("A"), TC_STR("a")));
}

static void test_absent_and_empty_scopes_are_the_same(void) {
  CHECK(tc_scope_is_subset(TC_STR_NONE, TC_STR("")));
  CHECK(tc_scope_is_subset(TC_STR(""), TC_STR_NONE));
  CHECK(tc_scope_is_subset(TC_STR_NONE, TC_STR("a")));
  CHECK(!tc_scope_is_subset(TC_STR("a"), TC_STR_NONE));
}

int main(void) {
  RUN(test_sorts_and_joins);
  RUN(test_keeps_each_once);
  RUN(test_nothing_is_no_scope);
  RUN(test_allows_the_whole_alphabet_of_rfc6749);
  RUN(test_refuses_other_characters);
  RUN(test_subset);
  RUN(test_absent_and_empty_scopes_are_the_same);
  return done();
}
