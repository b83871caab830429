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

int main(void) {
  RUN(test_buf_grows_and_stays_terminated);
  RUN(test_buf_keeps_its_memory_when_cleared);
  RUN(test_buf_clear_erases);
  RUN(test_buf_holds_nuls);
  return done();
}
