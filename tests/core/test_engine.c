/* Whole runs of a flow without users. */
#include "engine_run.h"

static void test_a_fit_token_comes_from_the_cache(void) {
  run r;
  tc_token cached = fixture_token("cached", 60);
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  RETURNS(r, "cached", TC_FROM_CACHE);
  CHECK_NUM(r.engine.error.number, 0);
  run_end(&r);
}

static void test_a_miss_without_a_lock(void) {
  run r;
  tc_token_response answer = fixture_answer("new");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  CHECK_STR(tc_buf_str(&r.engine.body), TC_STR("grant_type=client_credentials&scope=a+b"));
  CHECK_NUM(tc_engine_time_left(&r.engine), TIMEOUT);
  run_pass(&r, 2);
  STEP(r, REQUEST, ANSWER(&answer));
  CHECK_NUM(r.engine.token.expires_at, NOW + 2 + 3600);
  CHECK_STR(r.engine.token.client_id, TC_STR("the client"));
  CHECK_STR(r.engine.token.scope, TC_STR("a b"));
  CHECK(r.engine.token.requested_scope.data == NULL);
  CHECK(r.engine.token.authorized_at == TC_TIME_UNKNOWN);
  STEP(r, SAVE, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  CHECK(!r.engine.unsaved);
  run_end(&r);
}

static void test_a_cache_without_a_lock_is_not_asked_for_one(void) {
  tc_token_response answer = fixture_answer("new");
  run r;
  run_begin(&r, (tc_engine_options){.timeout = TIMEOUT, .lockless = true});
  STEP(r, LOAD, NOTHING);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void test_a_miss_under_a_lock(void) {
  run r;
  tc_token_response answer = fixture_answer("new");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  CHECK_NUM(r.engine.seconds, TIMEOUT + 5);
  STEP(r, LOCK, DONE);
  STEP(r, LOAD, NOTHING);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void test_a_token_that_came_before_the_lock_is_used(void) {
  run r;
  tc_token old = fixture_token("old", -5), newer = fixture_token("newer", 3600);
  run_begin(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&old), FOUND(&newer));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_while_another_renews_the_old_token_serves(void) {
  run r;
  tc_token expiring = fixture_token("expiring", 5);
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&expiring));
  STEP(r, LOCK, BUSY);
  RETURNS(r, "expiring", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_busy_lock_is_waited_for(void) {
  run r;
  tc_token expired = fixture_token("expired", -1), newer = fixture_token("newer", 3600);
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&expired));
  STEP(r, LOCK, BUSY);
  CHECK_NUM(r.engine.seconds, 0.02);
  STEP(r, SLEEP, DONE);
  STEP(r, LOAD, FOUND(&expired));
  STEP(r, LOCK, BUSY);
  CHECK_NUM(r.engine.seconds, 0.03);
  STEP(r, SLEEP, DONE);
  STEP(r, LOAD, FOUND(&newer));
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_busy_lock_is_waited_for_until_the_deadline(void) {
  run r;
  run_begin(&r, PLAIN);
  double deadline = r.clocks.monotonic + TIMEOUT, longest = 0;
  for (int i = 0; i < 200 && r.action == TC_ACTION_LOAD; i++) {
    STEP(r, LOAD, NOTHING);
    STEP(r, LOCK, BUSY);
    if (r.action != TC_ACTION_SLEEP) break;
    if (r.engine.seconds > longest) longest = r.engine.seconds;
    STEP(r, SLEEP, DONE);
  }
  FAILS(r, TC_ERR_TIMEOUT);
  CHECK_NUM(longest, 0.5);
  CHECK(r.clocks.monotonic >= deadline && r.clocks.monotonic < deadline + 1e-9);
  run_end(&r);
}

static void test_who_may_not_wait_for_the_lock_is_told(void) {
  run r;
  tc_error refused = TC_ERROR_NONE;
  (void)tc_error_set(&refused, TC_ERR_CONFIG, "not here");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, BUSY);
  STEP(r, SLEEP, BROKE(&refused));
  FAILS(r, TC_ERR_CONFIG);
  CHECK_TEXT(r.engine.error.message, "not here");
  run_end(&r);
}

static void test_a_forced_run_waits_though_the_old_token_works(void) {
  run r;
  tc_token cached = fixture_token("cached", 3600);
  run_begin(&r, FORCED);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, BUSY);
  STEP(r, SLEEP, DONE);
  IS_AT(r, LOAD);
  run_end(&r);
}

static void test_a_forced_run_gets_another_token(void) {
  run r;
  tc_token cached = fixture_token("cached", 3600);
  tc_token_response answer = fixture_answer("new");
  run_begin(&r, FORCED);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, DONE);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void test_a_forced_run_does_not_settle_for_the_old_token(void) {
  run r;
  tc_token cached = fixture_token("cached", 3600);
  tc_error broken = network_error();
  run_begin(&r, FORCED);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, BROKE(&broken));
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

/* A token with `left` seconds; then the request meets `result`. */
static void begin_renewing(run *r, int left, tc_result result) {
  tc_token cached = fixture_token("old", left);
  run_begin(r, PLAIN);
  STEP(*r, LOAD, FOUND(&cached));
  STEP(*r, LOCK, NO_LOCK);
  STEP(*r, REQUEST, result);
}

static void test_a_token_with_seconds_left_beats_a_passing_failure(void) {
  run r;
  tc_error broken = network_error();
  tc_token_response away = fixture_status(500), refused = fixture_refusal(401, "invalid_client");
  begin_renewing(&r, 5, BROKE(&broken));
  RETURNS(r, "old", TC_FROM_CACHE);
  CHECK_NUM(r.engine.error.number, TC_ERR_NETWORK);
  run_end(&r);
  begin_renewing(&r, 5, ANSWER(&away));
  RETURNS(r, "old", TC_FROM_CACHE);
  CHECK_NUM(r.engine.error.number, TC_ERR_UNAVAILABLE);
  run_end(&r);
  begin_renewing(&r, -5, BROKE(&broken));
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
  begin_renewing(&r, 5, ANSWER(&refused));
  FAILS(r, TC_ERR_CONFIG);
  run_end(&r);
}

static void test_the_seconds_left_count_at_the_end_of_the_request(void) {
  run r;
  tc_token cached = fixture_token("old", 5);
  tc_error broken = network_error();
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  run_pass(&r, 6);
  STEP(r, REQUEST, BROKE(&broken));
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

static void begin_requesting(run *r) {
  run_begin(r, PLAIN);
  LOAD_LOCK_LOAD(*r, NOTHING, NOTHING);
}

static void test_an_unsent_request_is_repeated_twice(void) {
  run r;
  tc_error broken = network_error();
  begin_requesting(&r);
  STEP(r, REQUEST, UNSENT(&broken));
  CHECK_NUM(r.engine.seconds, 0.25);
  STEP(r, SLEEP, DONE);
  STEP(r, REQUEST, UNSENT(&broken));
  CHECK_NUM(r.engine.seconds, 0.5);
  STEP(r, SLEEP, DONE);
  STEP(r, REQUEST, UNSENT(&broken));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

static void test_who_may_not_wait_does_not_repeat_the_request(void) {
  run r;
  tc_error refused = TC_ERROR_NONE, broken = network_error();
  (void)tc_error_set(&refused, TC_ERR_CONFIG, "not here");
  begin_requesting(&r);
  STEP(r, REQUEST, UNSENT(&broken));
  STEP(r, SLEEP, BROKE(&refused));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

static void test_a_repetition_that_succeeds_leaves_no_error(void) {
  run r;
  tc_token_response busy = fixture_status(429), answer = fixture_answer("new");
  begin_requesting(&r);
  STEP(r, REQUEST, ANSWER(&busy));
  STEP(r, SLEEP, DONE);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  CHECK_NUM(r.engine.error.number, 0);
  CHECK_NUM(r.engine.error.status, 0);
  run_end(&r);
}

static void check_not_repeated(tc_result result, int number) {
  run r;
  begin_requesting(&r);
  STEP(r, REQUEST, result);
  STEP(r, UNLOCK, DONE);
  FAILS(r, number);
  run_end(&r);
}

/* RFC 9110 §9.2.2: it may have been processed, or repeating it cannot help. */
static void test_other_failures_are_not_repeated(void) {
  tc_error broken = network_error(), untrusted = TC_ERROR_NONE;
  tc_token_response away = fixture_status(500), gateway = fixture_status(502),
                    refused = fixture_refusal(400, "invalid_scope"), html = fixture_status(200);
  (void)tc_error_set(&untrusted, TC_ERR_TLS, NULL);
  check_not_repeated(BROKE(&broken), TC_ERR_NETWORK);
  check_not_repeated(UNSENT(&untrusted), TC_ERR_TLS);
  check_not_repeated(ANSWER(&away), TC_ERR_UNAVAILABLE);
  check_not_repeated(ANSWER(&gateway), TC_ERR_UNAVAILABLE);
  check_not_repeated(ANSWER(&refused), TC_ERR_CONFIG);
  check_not_repeated(ANSWER(&html), TC_ERR_PROTOCOL);
}

static void test_retry_after_is_honoured(void) {
  run r;
  tc_token_response later = fixture_status(503);
  later.retry_after = 7;
  begin_requesting(&r);
  STEP(r, REQUEST, ANSWER(&later));
  CHECK_NUM(r.engine.seconds, 7);
  STEP(r, SLEEP, DONE);
  later.retry_after = 0;
  STEP(r, REQUEST, ANSWER(&later));
  CHECK_NUM(r.engine.seconds, 0.5); /* a date gone by: clocks differ */
  STEP(r, SLEEP, DONE);
  IS_AT(r, REQUEST);
  run_end(&r);
}

static void test_retry_after_beyond_the_deadline_fails_at_once(void) {
  tc_token_response later = fixture_status(429);
  run r;
  later.retry_after = TIMEOUT;
  check_not_repeated(ANSWER(&later), TC_ERR_UNAVAILABLE);
  later.retry_after = 16;
  begin_requesting(&r);
  STEP(r, REQUEST, ANSWER(&later));
  STEP(r, SLEEP, DONE);
  STEP(r, REQUEST, ANSWER(&later)); /* 14 seconds are left */
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_UNAVAILABLE);
  CHECK_NUM(r.engine.error.retry_after, 16);
  run_end(&r);
}

static void test_a_sleep_that_outlasts_the_deadline(void) {
  run r;
  tc_token_response busy = fixture_status(503);
  begin_requesting(&r);
  STEP(r, REQUEST, ANSWER(&busy));
  run_pass(&r, TIMEOUT);
  STEP(r, SLEEP, DONE);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_TIMEOUT);
  run_end(&r);
}

static void test_a_load_that_outlasts_the_deadline(void) {
  run r;
  run_begin(&r, PLAIN);
  run_pass(&r, 2 * TIMEOUT);
  STEP(r, LOAD, NOTHING);
  CHECK_NUM(r.engine.seconds, 5);
  STEP(r, LOCK, NO_LOCK);
  FAILS(r, TC_ERR_TIMEOUT);
  run_end(&r);
}

static void test_the_deadline_is_kept_by_the_monotonic_clock(void) {
  run r;
  run_begin(&r, PLAIN);
  r.clocks.now += 1e6; /* somebody set the clock */
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  IS_AT(r, REQUEST);
  CHECK_NUM(tc_engine_time_left(&r.engine), TIMEOUT);
  run_end(&r);
}

static void test_a_fit_token_is_returned_however_late(void) {
  run r;
  tc_token cached = fixture_token("cached", 3600);
  run_begin(&r, PLAIN);
  run_pass(&r, 2 * TIMEOUT);
  STEP(r, LOAD, FOUND(&cached));
  RETURNS(r, "cached", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_cache_that_fails_costs_no_token(void) {
  run r;
  tc_token_response answer = fixture_answer("new");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FAILED);
  STEP(r, LOCK, FAILED);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, FAILED);
  RETURNS(r, "new", TC_FROM_ANSWER);
  CHECK(r.engine.unsaved);
  run_end(&r);
}

static void test_a_failed_read_after_the_lock_forgets_nothing(void) {
  run r;
  tc_token expiring = fixture_token("expiring", 5);
  tc_error broken = network_error();
  run_begin(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&expiring), FAILED);
  STEP(r, REQUEST, BROKE(&broken));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "expiring", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_token_removed_before_the_lock_is_forgotten(void) {
  run r;
  tc_token expiring = fixture_token("expiring", 5);
  tc_error broken = network_error();
  run_begin(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&expiring), NOTHING);
  STEP(r, REQUEST, BROKE(&broken));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

static void test_a_clock_set_back_makes_a_token_fit_again(void) {
  run r;
  tc_token cached = fixture_token("cached", 30);
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  r.clocks.now -= 3600;
  STEP(r, LOCK, NO_LOCK);
  RETURNS(r, "cached", TC_FROM_CACHE);
  run_end(&r);
}

int main(void) {
  RUN(test_a_fit_token_comes_from_the_cache);
  RUN(test_a_miss_without_a_lock);
  RUN(test_a_cache_without_a_lock_is_not_asked_for_one);
  RUN(test_a_miss_under_a_lock);
  RUN(test_a_token_that_came_before_the_lock_is_used);
  RUN(test_while_another_renews_the_old_token_serves);
  RUN(test_a_busy_lock_is_waited_for);
  RUN(test_a_busy_lock_is_waited_for_until_the_deadline);
  RUN(test_who_may_not_wait_for_the_lock_is_told);
  RUN(test_who_may_not_wait_does_not_repeat_the_request);
  RUN(test_a_forced_run_waits_though_the_old_token_works);
  RUN(test_a_forced_run_gets_another_token);
  RUN(test_a_forced_run_does_not_settle_for_the_old_token);
  RUN(test_a_token_with_seconds_left_beats_a_passing_failure);
  RUN(test_the_seconds_left_count_at_the_end_of_the_request);
  RUN(test_an_unsent_request_is_repeated_twice);
  RUN(test_a_repetition_that_succeeds_leaves_no_error);
  RUN(test_other_failures_are_not_repeated);
  RUN(test_retry_after_is_honoured);
  RUN(test_retry_after_beyond_the_deadline_fails_at_once);
  RUN(test_a_sleep_that_outlasts_the_deadline);
  RUN(test_a_load_that_outlasts_the_deadline);
  RUN(test_the_deadline_is_kept_by_the_monotonic_clock);
  RUN(test_a_fit_token_is_returned_however_late);
  RUN(test_a_cache_that_fails_costs_no_token);
  RUN(test_a_failed_read_after_the_lock_forgets_nothing);
  RUN(test_a_token_removed_before_the_lock_is_forgotten);
  RUN(test_a_clock_set_back_makes_a_token_fit_again);
  return done();
}
