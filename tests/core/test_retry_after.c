#include "core/retry_after.h"
#include "test.h"

#define MOMENT 784111777.0 /* Sun, 06 Nov 1994 08:49:37 GMT */

static void check(const char *text, double now, double want) {
  if (!CHECK_NUM(tc_retry_after_parse(tc_str_of(text), now), want)) printf("#   %s\n", text);
}

static void check_unknown(tc_str text) {
  if (!CHECK(tc_retry_after_parse(text, 0) < 0)) printf("#   %.*s\n", (int)text.len, text.data);
}

static void test_seconds(void) {
  check("0", 5, 0);
  check("120", 5, 120);
  check("007", 5, 7);
}

static void test_many_digits_are_long_not_unknown(void) {
  CHECK(tc_retry_after_parse(TC_STR("99999999999"), 0) >= 1e9);
  CHECK(tc_retry_after_parse(TC_STR("99999999999999999999999999999999999999999999999"), 0) >= 1e9);
}

static void test_the_three_forms_of_a_date(void) {
  check("Sun, 06 Nov 1994 08:49:37 GMT", MOMENT - 30, 30);
  check("Sunday, 06-Nov-94 08:49:37 GMT", MOMENT - 30, 30);
  check("Sun Nov  6 08:49:37 1994", MOMENT - 30, 30);
}

static void test_a_date_gone_by_is_now(void) {
  check("Sun, 06 Nov 1994 08:49:37 GMT", MOMENT, 0);
  check("Sun, 06 Nov 1994 08:49:37 GMT", MOMENT + 1, 0);
}

static void test_the_calendar(void) {
  check("Thu, 01 Jan 1970 00:00:10 GMT", 0, 10);
  check("Tue, 29 Feb 2000 00:00:00 GMT", 951782400 - 1, 1);
  check("Wed, 01 Mar 2000 00:00:00 GMT", 951782400, 86400);
  check("Fri, 31 Dec 2027 23:59:60 GMT", 1830297600 - 1, 1); /* a leap second */
  check("Mon, 01 Mar 2100 00:00:00 GMT", 4107542400 - 1, 1); /* no leap year */
}

static void test_what_is_neither_is_unknown(void) {
  check_unknown(TC_STR(""));
  check_unknown(TC_STR_NONE);
  check_unknown(TC_STR("-1"));
  check_unknown(TC_STR("1.5"));
  check_unknown(TC_STR("soon"));
  check_unknown(TC_STR("12s"));
  check_unknown(TC_STR("12\0"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:37 CET"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:37"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:37 GMT+1"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:37 GMT and more"));
  check_unknown(TC_STR("Sun, 06 Xov 1994 08:49:37 GMT"));
  check_unknown(TC_STR("Sun, 06 anF 1994 08:49:37 GMT"));
  check_unknown(TC_STR("Sun, 06 No 1994 08:49:37 GMT"));
  check_unknown(TC_STR("Sun, 32 Nov 1994 08:49:37 GMT"));
  check_unknown(TC_STR("Sun, -6 Nov 1994 08:49:37 GMT"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 24:49:37 GMT"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:60:37 GMT"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:61 GMT"));
  check_unknown(TC_STR("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"));
}

int main(void) {
  RUN(test_seconds);
  RUN(test_many_digits_are_long_not_unknown);
  RUN(test_the_three_forms_of_a_date);
  RUN(test_a_date_gone_by_is_now);
  RUN(test_the_calendar);
  RUN(test_what_is_neither_is_unknown);
  return done();
}
