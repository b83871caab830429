#include "core/secret.h"
#include "test.h"

static void check_redacted(const char *given, tc_str secret, const char *want) {
  char text[64];
  size_t len = strlen(given);
  memcpy(text, given, len + 1);
  tc_redact(text, len, secret);
  CHECK_TEXT(text, want);
}

static void test_redacts_at_either_end_and_alone(void) {
  check_redacted("s3cret", TC_STR("s3cret"), "******");
  check_redacted("s3cret and s3cret", TC_STR("s3cret"), "****** and ******");
  check_redacted("s3crets3cret", TC_STR("s3cret"), "************");
}

static void test_redacts_overlapping_occurrences_whole(void) {
  check_redacted("abcabcabc.", TC_STR("abcabc"), "*********.");
  check_redacted("xaaaaaay", TC_STR("aaaa"), "x******y");
}

static void test_leaves_what_is_not_the_secret(void) {
  check_redacted("s3cre.", TC_STR("s3cret"), "s3cre.");
  check_redacted("s3c", TC_STR("s3cret"), "s3c");
  check_redacted("S3CRET s3cre7", TC_STR("s3cret"), "S3CRET s3cre7");
  check_redacted("", TC_STR("s3cret"), "");
}

static void test_redacts_what_the_end_cuts_off(void) {
  check_redacted("s3cre", TC_STR("s3cret"), "*****");
  check_redacted("token=s3cr", TC_STR("s3cret"), "token=****");
}

static void test_leaves_short_secrets(void) {
  check_redacted("the code", TC_STR("the"), "the code");
  check_redacted("the code", TC_STR_NONE, "the code");
  check_redacted("the code", TC_STR("code"), "the ****");
}

/* The text ends where its memory ends, so that a sanitizer sees a step beyond. */
static void test_stays_inside_the_given_length(void) {
  char text[] = {'s', '3', 'c', 'r', 'e', 't', 's', '3', 'c', 'r', 'e'};
  tc_redact(text, sizeof text, TC_STR("s3cret"));
  CHECK_STR(((tc_str){text, sizeof text}), TC_STR("***********"));
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
  RUN(test_redacts_at_either_end_and_alone);
  RUN(test_redacts_overlapping_occurrences_whole);
  RUN(test_leaves_what_is_not_the_secret);
  RUN(test_redacts_what_the_end_cuts_off);
  RUN(test_leaves_short_secrets);
  RUN(test_stays_inside_the_given_length);
  RUN(test_equal_takes_nuls_for_bytes);
  RUN(test_wipe);
  return done();
}
