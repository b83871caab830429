#include "core/form.h"
#include "test.h"

static void check_encoded(tc_str text, const char *want) {
  tc_buf out = TC_BUF_EMPTY;
  tc_form_encode(&out, text);
  CHECK_STR(tc_buf_str(&out), tc_str_of(want));
  tc_buf_free(&out);
}

static void check_decoded(tc_str text, tc_str want) {
  tc_buf out = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_form_decode(&out, text, &err), 0);
  CHECK_STR(tc_buf_str(&out), want);
  tc_buf_free(&out);
}

static void check_refused(const char *text) {
  tc_buf out = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_form_decode(&out, tc_str_of(text), &err), TC_ERR_PROTOCOL);
  CHECK_NUM(err.kind, TC_KIND_PROTOCOL);
  tc_buf_free(&out);
}

static void test_encodes_what_rfc6749_appendix_b_encodes(void) {
  check_encoded(TC_STR(" %&+\302\243\342\202\254"), "+%25%26%2B%C2%A3%E2%82%AC");
}

static void test_leaves_unreserved_characters(void) {
  check_encoded(TC_STR("azAZ09-._~"), "azAZ09-._~");
  check_encoded(TC_STR(""), "");
  check_encoded(TC_STR("a:b/c=d\0\n"), "a%3Ab%2Fc%3Dd%00%0A");
}

static void test_decodes(void) {
  check_decoded(TC_STR("+%25%26%2B%C2%A3%e2%82%ac"), TC_STR(" %&+\302\243\342\202\254"));
  check_decoded(TC_STR("a%00b"), TC_STR("a\0b"));
  check_decoded(TC_STR_NONE, TC_STR(""));
}

static void test_refuses_broken_escapes(void) {
  check_refused("%");
  check_refused("a%4");
  check_refused("%4g");
  check_refused("%g4");
  check_refused("%%41");
}

static void test_every_byte_survives(void) {
  tc_buf all = TC_BUF_EMPTY, encoded = TC_BUF_EMPTY;
  for (int c = 0; c < 256; c++) tc_buf_add_char(&all, (char)c);
  tc_form_encode(&encoded, tc_buf_str(&all));
  check_decoded(tc_buf_str(&encoded), tc_buf_str(&all));
  tc_buf_free(&all);
  tc_buf_free(&encoded);
}

static void test_adds_pairs(void) {
  tc_buf out = TC_BUF_EMPTY;
  tc_form_add(&out, TC_STR("a b"), TC_STR("1&2"));
  tc_form_add(&out, TC_STR("c"), TC_STR(""));
  tc_form_add(&out, TC_STR("d"), TC_STR_NONE);
  CHECK_STR(tc_buf_str(&out), TC_STR("a+b=1%262&c=&d="));
  tc_buf_free(&out);
}

static void check_pair(tc_str *rest, const char *name, tc_str value) {
  tc_form_pair pair;
  if (!CHECK(tc_form_next(rest, &pair))) return;
  CHECK_STR(pair.name, tc_str_of(name));
  CHECK_STR(pair.value, value);
  CHECK((pair.value.data == NULL) == (value.data == NULL));
}

static void test_takes_pairs_apart(void) {
  tc_form_pair pair;
  tc_str rest = TC_STR("&&code=a%20b&flag&empty=&=nameless&two=1=2&");
  check_pair(&rest, "code", TC_STR("a%20b"));
  check_pair(&rest, "flag", TC_STR_NONE);
  check_pair(&rest, "empty", TC_STR(""));
  check_pair(&rest, "", TC_STR("nameless"));
  check_pair(&rest, "two", TC_STR("1=2"));
  CHECK(!tc_form_next(&rest, &pair));
  rest = TC_STR_NONE;
  CHECK(!tc_form_next(&rest, &pair));
}

int main(void) {
  RUN(test_encodes_what_rfc6749_appendix_b_encodes);
  RUN(test_leaves_unreserved_characters);
  RUN(test_decodes);
  RUN(test_refuses_broken_escapes);
  RUN(test_every_byte_survives);
  RUN(test_adds_pairs);
  RUN(test_takes_pairs_apart);
  return done();
}
