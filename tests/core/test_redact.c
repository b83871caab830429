#include "core/redact.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "test.h"

static void check_redacted(const char *given, tc_str secret, const char *want) {
  char text[64];
  size_t len = strlen(given);
  memcpy(text, given, len + 1);
  CHECK(tc_redact(text, len, secret));
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
  CHECK(tc_redact(text, sizeof text, TC_STR("s3cret")));
  CHECK_STR(((tc_str){text, sizeof text}), TC_STR("***********"));
}

static void test_redacts_what_is_percent_encoded(void) {
  const tc_str secret = TC_STR("s3/c+r t");
  check_redacted("=s3%2Fc%2Br+t&", secret, "=************&");
  check_redacted("=s3%2fc%2br%20t&", secret, "=**************&");
  check_redacted("=s3/c+r%20t&", secret, "=**********&");
  check_redacted("=%733/c%2br t&", secret, "=************&");
  check_redacted("=s3%252Fc+r t&", secret, "=s3%252Fc+r t&");
  check_redacted("=%s3/c+r t&", secret, "=%********&");
}

static void test_redacts_a_secret_that_looks_percent_encoded(void) {
  const tc_str secret = TC_STR("a%41b%4");
  check_redacted("a%41b%4 a%41b%4", secret, "******* *******");
  check_redacted("a%2541b%254 aAb%4", secret, "*********** aAb%4");
  check_redacted("aa%41b%4", secret, "a*******");
}

static void test_redacts_occurrences_that_overlap_in_either_encoding(void) {
  check_redacted("xabab%61bx", TC_STR("abab"), "x********x");
  check_redacted("x%61bababx", TC_STR("abab"), "x********x");
}

static void test_redacts_a_byte_that_the_end_cuts_off(void) {
  check_redacted("=abcd%", TC_STR("abcd/e"), "=*****");
  check_redacted("=abcd%2", TC_STR("abcd/e"), "=******");
  check_redacted("=abcd%2f", TC_STR("abcd/e"), "=*******");
  check_redacted("=abcd%x", TC_STR("abcd/e"), "=abcd%x");
}

/* In time that grows with their product it would take minutes. */
static void test_takes_no_time_for_a_secret_that_repeats_itself(void) {
  const struct rlimit limit = {30, 30};
  size_t len = 4 * 1000 * 1000, half = len / 2;
  char *text = malloc(len), *secret = malloc(half);
  if (!CHECK(text != NULL && secret != NULL && setrlimit(RLIMIT_CPU, &limit) == 0)) exit(1);
  memset(text, 'a', len);
  memset(secret, 'a', half);
  text[len - 1] = '.';
  secret[half - 1] = 'b';
  CHECK(tc_redact(text, len, (tc_str){secret, half}));
  CHECK(text[0] == 'a' && text[len - 2] == 'a');
  secret[half - 1] = 'a';
  CHECK(tc_redact(text, len, (tc_str){secret, half}));
  CHECK(text[0] == '*' && text[len - 2] == '*' && text[len - 1] == '.');
  free(text);
  free(secret);
}

int main(void) {
  RUN(test_redacts_at_either_end_and_alone);
  RUN(test_redacts_overlapping_occurrences_whole);
  RUN(test_leaves_what_is_not_the_secret);
  RUN(test_redacts_what_the_end_cuts_off);
  RUN(test_leaves_short_secrets);
  RUN(test_stays_inside_the_given_length);
  RUN(test_redacts_what_is_percent_encoded);
  RUN(test_redacts_a_secret_that_looks_percent_encoded);
  RUN(test_redacts_occurrences_that_overlap_in_either_encoding);
  RUN(test_redacts_a_byte_that_the_end_cuts_off);
  RUN(test_takes_no_time_for_a_secret_that_repeats_itself);
  return done();
}
