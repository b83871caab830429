#include "core/secret.h"
#include "test.h"

static void test_equal_compares_content_and_length(void) {
  CHECK(tc_secret_equal(TC_STR("state"), TC_STR("state")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("statf")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("stat")));
  CHECK(!tc_secret_equal(TC_STR("state"), TC_STR("")));
}

static void test_equal_takes_nuls_for_bytes(void) {
  CHECK(!tc_secret_equal(TC_STR("a\0b"), TC_STR("a\0c")));
  CHECK(tc_secret_equal(TC_STR("a\0b"), TC_STR("a\0b")));
  CHECK(tc_secret_equal(TC_STR_NONE, TC_STR("")));
}

static void test_wipe(void) {
  char text[] = "secret";
  tc_wipe(text, sizeof text);
  CHECK(memcmp(text, "\0\0\0\0\0\0", sizeof text) == 0);
  tc_wipe(NULL, 0);
}

int main(void) {
  RUN(test_equal_compares_content_and_length);
  RUN(test_equal_takes_nuls_for_bytes);
  RUN(test_wipe);
  return done();
}
