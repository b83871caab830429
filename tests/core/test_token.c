/* What tokens are judged by, and copies of them. */
#include "core/token.h"

#include <math.h>

#include "fixture.h"

static tc_window window_of(int64_t expires_at, int64_t expires_in, double leeway) {
  tc_token token = TC_TOKEN_NONE;
  token.expires_at = expires_at;
  token.expires_in = expires_in;
  return tc_token_window(&token, leeway);
}

static void check_window(tc_window got, double from, double until) {
  CHECK_NUM(got.from, from);
  CHECK_NUM(got.until, until);
}

static void test_a_token_serves_until_the_leeway_before_its_end(void) {
  check_window(window_of(5000, TC_TIME_UNKNOWN, 60), -INFINITY, 4940);
  check_window(window_of(5000, TC_TIME_UNKNOWN, 0), -INFINITY, 5000);
  check_window(window_of(5000, TC_TIME_UNKNOWN, 0.5), -INFINITY, 4999.5);
}

/* Before that it would have more left than the server gave it. */
static void test_a_token_serves_from_its_issue_give_or_take_the_clocks(void) {
  check_window(window_of(5000, 3600, 60), 1400 - TC_CLOCK_TOLERANCE, 4940);
}

static void test_a_token_that_states_no_end_serves_for_ever(void) {
  check_window(window_of(TC_TIME_UNKNOWN, TC_TIME_UNKNOWN, 60), -INFINITY, INFINITY);
  CHECK(tc_window_holds(window_of(TC_TIME_UNKNOWN, TC_TIME_UNKNOWN, 60), 1e300));
  CHECK(tc_window_holds(window_of(TC_TIME_UNKNOWN, TC_TIME_UNKNOWN, 60), -1e300));
}

static void test_a_lifetime_from_nobody_knows_when_is_over(void) {
  CHECK(!tc_window_holds(window_of(TC_TIME_UNKNOWN, 3600, 60), NOW));
  CHECK(!tc_window_holds(window_of(TC_TIME_UNKNOWN, 3600, 0), -1e300));
}

static void test_a_leeway_takes_half_of_a_tokens_life_at_most(void) {
  check_window(window_of(5000, 119, 60), 4881 - TC_CLOCK_TOLERANCE, 4940.5);
  check_window(window_of(5000, 60, 600), 4940 - TC_CLOCK_TOLERANCE, 4970);
  check_window(window_of(5000, 60, 10), 4940 - TC_CLOCK_TOLERANCE, 4990);
}

static void test_the_last_seconds_are_never_used(void) {
  check_window(window_of(5000, 3, 60), 4997 - TC_CLOCK_TOLERANCE, 4998);
  check_window(window_of(5000, 1, 60), 4999 - TC_CLOCK_TOLERANCE, 4998);
  check_window(window_of(5000, 0, 60), 5000 - TC_CLOCK_TOLERANCE, 4998);
}

static void test_both_ends_are_within(void) {
  tc_window window = {10, 20};
  CHECK(tc_window_holds(window, 10) && tc_window_holds(window, 20));
  CHECK(!tc_window_holds(window, nextafter(10, 0)) && !tc_window_holds(window, nextafter(20, 30)));
  CHECK(!tc_window_holds(window, NAN));
}

static void check_expired(int64_t expires_at, int64_t expires_in, bool want) {
  CHECK(tc_window_holds(window_of(expires_at, expires_in, 60), NOW) == !want);
}

static void test_a_token_of_a_clock_put_back_has_expired(void) {
  int64_t now = (int64_t)NOW;
  check_expired(now + 60, 3600, false);
  check_expired(now + 59, 3600, true);
  check_expired(now + 3600 + TC_CLOCK_TOLERANCE, 3600, false);
  check_expired(now + 3601 + TC_CLOCK_TOLERANCE, 3600, true);
  check_expired(now + 86400, TC_TIME_UNKNOWN, false);
  check_expired(TC_TIME_UNKNOWN, 3600, true);
  check_expired(TC_TIME_PAST, TC_TIME_UNKNOWN, true);
}

static void test_times_too_far_away_are_none(void) {
  CHECK_NUM(tc_time_of(1.9), 1);
  CHECK_NUM(tc_time_of(-1.9), -1);
  CHECK(tc_time_of(9e15) == TC_TIME_UNKNOWN && tc_time_of(-9e15) == TC_TIME_UNKNOWN);
  CHECK(tc_time_of(NAN) == TC_TIME_UNKNOWN && tc_time_of(INFINITY) == TC_TIME_UNKNOWN);
}

static void test_assigning_a_token_copies_it(void) {
  char text[] = "first";
  tc_token from = fixture_token(text, 5), to = TC_TOKEN_NONE;
  tc_error err = TC_ERROR_NONE;
  from.refresh_token = TC_STR("");
  REQUIRE(tc_token_assign(&to, &from, &err) == 0);
  text[0] = 'F';
  CHECK_STR(to.access_token, TC_STR("first"));
  CHECK(to.refresh_token.data != NULL && to.refresh_token.len == 0);
  CHECK(to.client_id.data == NULL);
  CHECK_NUM(to.expires_at, from.expires_at);
  REQUIRE(tc_token_assign(&to, &to, &err) == 0);
  CHECK_STR(to.access_token, TC_STR("first"));
  tc_token_clear(&to);
  CHECK(!tc_token_exists(&to));
  CHECK(to.expires_at == TC_TIME_UNKNOWN);
}

int main(void) {
  RUN(test_a_token_serves_until_the_leeway_before_its_end);
  RUN(test_a_token_serves_from_its_issue_give_or_take_the_clocks);
  RUN(test_a_token_that_states_no_end_serves_for_ever);
  RUN(test_a_lifetime_from_nobody_knows_when_is_over);
  RUN(test_a_leeway_takes_half_of_a_tokens_life_at_most);
  RUN(test_the_last_seconds_are_never_used);
  RUN(test_both_ends_are_within);
  RUN(test_a_token_of_a_clock_put_back_has_expired);
  RUN(test_times_too_far_away_are_none);
  RUN(test_assigning_a_token_copies_it);
  return done();
}
