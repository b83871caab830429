#include "core/buf.h"
#include "core/secret.h"
#include "test.h"

static void test_buf_grows_and_stays_terminated(void) {
  tc_buf buf = TC_BUF_EMPTY;
  for (int i = 0; i < 1000; i++) tc_buf_add(&buf, "abc", 3);
  tc_buf_add_char(&buf, '!');
  CHECK(!buf.failed);
  CHECK_NUM(buf.len, 3001);
  CHECK(memcmp(buf.data + 2997, "abc!", 5) == 0);
  tc_buf_free(&buf);
  CHECK(buf.data == NULL && buf.len == 0);
}

static void test_buf_keeps_its_memory_when_cleared(void) {
  tc_buf buf = TC_BUF_EMPTY;
  tc_buf_add_text(&buf, "secret");
  const char *before = buf.data;
  tc_buf_clear(&buf);
  CHECK_NUM(buf.len, 0);
  CHECK_STR(tc_buf_str(&buf), TC_STR(""));
  tc_buf_add_text(&buf, "again");
  CHECK(buf.data == before);
  CHECK_TEXT(buf.data, "again");
  tc_buf_free(&buf);
}

static void test_buf_clear_erases(void) {
  tc_buf buf = TC_BUF_EMPTY;
  tc_buf_add_text(&buf, "secret");
  tc_buf_clear(&buf);
  CHECK(memcmp(buf.data, "\0\0\0\0\0\0", 6) == 0);
  tc_buf_free(&buf);
}

static void test_buf_holds_nuls(void) {
  tc_buf buf = TC_BUF_EMPTY;
  tc_buf_add_str(&buf, TC_STR("a\0b"));
  CHECK_STR(tc_buf_str(&buf), TC_STR("a\0b"));
  tc_buf_free(&buf);
}

static void test_secret_equal_compares_content_and_length(void) {
  CHECK(tc_secret_equal(TC_STR("state"), TC_STR("state")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("statf")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("stat")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("")));
}

static void test_redact_blots_out_every_occurrence(void) {
  char text[] = "code=s3cret, again s3cret.";
  tc_redact(text, sizeof(text) - 1, TC_STR("s3cret"));
  CHECK(strstr(text, "s3cret") == NULL);
  CHECK(strncmp(text, "code=", 5) == 0);
}

int main(void) {
  RUN(test_buf_grows_and_stays_terminated);
  RUN(test_buf_keeps_its_memory_when_cleared);
  RUN(test_buf_clear_erases);
  RUN(test_buf_holds_nuls);
  RUN(test_secret_equal_compares_content_and_length);
  RUN(test_redact_blots_out_every_occurrence);
  return done();
}
