/* Whole runs of a flow without users. */
#include "scene.h"

static void test_a_fit_token_comes_from_the_cache(void) {
  tc_token cached = fixture_token("cached", 60);
  begin(PLAIN);
  STEP(LOAD, FOUND(cached));
  RETURNS("cached", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

static void test_a_miss_without_a_lock(void) {
  tc_token_response answer = fixture_answer("new");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  SENDS("grant_type=client_credentials&scope=a+b");
  CHECK_NUM(tc_engine_time_left(&scene.engine), TIMEOUT);
  pass(2);
  STEP(REQUEST, ANSWERED(answer));
  CHECK_NUM(scene.engine.best.token.expires_at, NOW + 2 + 3600);
  CHECK_STR(scene.engine.best.token.client_id, TC_STR("the client"));
  CHECK_STR(scene.engine.best.token.scope, TC_STR("a b"));
  CHECK(scene.engine.best.token.requested_scope.data == NULL);
  CHECK(scene.engine.best.token.authorized_at == TC_TIME_UNKNOWN);
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_cache_without_a_lock_is_not_asked_for_one(void) {
  tc_token_response answer = fixture_answer("new");
  begin(BARE);
  STEP(LOAD, NONE);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_miss_under_a_lock(void) {
  tc_token_response answer = fixture_answer("new");
  begin(PLAIN);
  STEP(LOAD, NONE);
  CHECK_NUM(scene.engine.seconds, TIMEOUT + 5);
  STEP(LOCK, OK);
  STEP(LOAD, NONE);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_token_that_came_before_the_lock_is_used(void) {
  tc_token old = fixture_token("old", -5), newer = fixture_token("newer", 3600);
  begin(PLAIN);
  LOAD_LOCK_LOAD(FOUND(old), FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_while_another_renews_the_old_token_serves(void) {
  tc_token expiring = fixture_token("expiring", 5);
  begin(PLAIN);
  STEP(LOAD, FOUND(expiring));
  STEP(LOCK, BUSY);
  RETURNS("expiring", TC_FROM_CACHE);
  end();
}

static void test_a_busy_lock_is_waited_for(void) {
  tc_token expired = fixture_token("expired", -1), newer = fixture_token("newer", 3600);
  begin(PLAIN);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, BUSY);
  CHECK_NUM(scene.engine.seconds, 0.02);
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, BUSY);
  CHECK_NUM(scene.engine.seconds, 0.03);
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(newer));
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_busy_lock_is_waited_for_until_the_deadline(void) {
  begin(PLAIN);
  double deadline = scene.clocks.monotonic + TIMEOUT, longest = 0;
  for (int i = 0; i < 200 && scene.action == TC_ACTION_LOAD; i++) {
    STEP(LOAD, NONE);
    STEP(LOCK, BUSY);
    if (scene.action != TC_ACTION_SLEEP) break;
    if (scene.engine.seconds > longest) longest = scene.engine.seconds;
    STEP(SLEEP, OK);
  }
  FAILS(TC_ERR_TIMEOUT);
  CHECK_NUM(longest, 0.5);
  CHECK(scene.clocks.monotonic >= deadline && scene.clocks.monotonic < deadline + 1e-9);
  end();
}

static void test_who_may_not_wait_for_the_lock_is_told(void) {
  tc_error refused = TC_ERROR_NONE;
  (void)tc_error_set(&refused, TC_ERR_CONFIG, "not here");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, BUSY);
  STEP(SLEEP, BROKE(refused));
  FAILS(TC_ERR_CONFIG);
  CHECK_TEXT(scene.engine.error.message, "not here");
  end();
}

static void test_a_forced_run_waits_though_the_old_token_works(void) {
  tc_token cached = fixture_token("cached", 3600);
  begin(FORCED);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  IS_AT(LOAD);
  end();
}

static void test_a_forced_run_gets_another_token(void) {
  tc_token cached = fixture_token("cached", 3600);
  tc_token_response answer = fixture_answer("new");
  begin(FORCED);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_forced_run_does_not_settle_for_the_old_token(void) {
  tc_token cached = fixture_token("cached", 3600);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin(FORCED);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  STEP(REQUEST, BROKE(broken));
  FAILS(TC_ERR_NETWORK);
  end();
}

/* A token with `left` seconds; then the request meets `result`. */
static void begin_replacing(int left, tc_result result) {
  tc_token cached = fixture_token("old", left);
  begin(PLAIN);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  STEP(REQUEST, result);
}

static void test_a_token_with_seconds_left_beats_a_passing_failure(void) {
  tc_error broken = an_error(TC_ERR_NETWORK);
  tc_token_response away = fixture_status(500), refused = fixture_refusal(401, "invalid_client");
  begin_replacing(5, BROKE(broken));
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_NETWORK);
  end();
  begin_replacing(5, ANSWERED(away));
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_UNAVAILABLE);
  end();
  begin_replacing(-5, BROKE(broken));
  FAILS(TC_ERR_NETWORK);
  end();
  begin_replacing(5, ANSWERED(refused));
  FAILS(TC_ERR_CONFIG);
  end();
}

static void test_the_seconds_left_count_at_the_end_of_the_request(void) {
  tc_token cached = fixture_token("old", 5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin(PLAIN);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  pass(6);
  STEP(REQUEST, BROKE(broken));
  FAILS(TC_ERR_NETWORK);
  end();
}

static void begin_requesting(void) {
  begin(PLAIN);
  LOAD_LOCK_LOAD(NONE, NONE);
}

static void test_an_unsent_request_is_repeated_twice(void) {
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_requesting();
  STEP(REQUEST, UNSENT(broken));
  CHECK_NUM(scene.engine.seconds, 0.25);
  STEP(SLEEP, OK);
  STEP(REQUEST, UNSENT(broken));
  CHECK_NUM(scene.engine.seconds, 0.5);
  STEP(SLEEP, OK);
  STEP(REQUEST, UNSENT(broken));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_who_may_not_wait_does_not_repeat_the_request(void) {
  tc_error refused = TC_ERROR_NONE, broken = an_error(TC_ERR_NETWORK);
  (void)tc_error_set(&refused, TC_ERR_CONFIG, "not here");
  begin_requesting();
  STEP(REQUEST, UNSENT(broken));
  STEP(SLEEP, BROKE(refused));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_a_repetition_that_succeeds_leaves_no_error(void) {
  tc_token_response busy = fixture_status(429), answer = fixture_answer("new");
  begin_requesting();
  STEP(REQUEST, ANSWERED(busy));
  STEP(SLEEP, OK);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  CHECK_NUM(scene.engine.error.number, 0);
  CHECK_NUM(scene.engine.error.status, 0);
  end();
}

static void check_not_repeated(tc_result result, int number) {
  begin_requesting();
  STEP(REQUEST, result);
  STEP(UNLOCK, OK);
  FAILS(number);
  end();
}

/* RFC 9110 §9.2.2: it may have been processed, or repeating it cannot help. */
static void test_other_failures_are_not_repeated(void) {
  tc_error broken = an_error(TC_ERR_NETWORK), untrusted = TC_ERROR_NONE;
  tc_token_response away = fixture_status(500), gateway = fixture_status(502),
                    refused = fixture_refusal(400, "invalid_scope"), html = fixture_status(200);
  (void)tc_error_set(&untrusted, TC_ERR_TLS, NULL);
  check_not_repeated(BROKE(broken), TC_ERR_NETWORK);
  check_not_repeated(UNSENT(untrusted), TC_ERR_TLS);
  check_not_repeated(ANSWERED(away), TC_ERR_UNAVAILABLE);
  check_not_repeated(ANSWERED(gateway), TC_ERR_UNAVAILABLE);
  check_not_repeated(ANSWERED(refused), TC_ERR_CONFIG);
  check_not_repeated(ANSWERED(html), TC_ERR_PROTOCOL);
}

static void test_retry_after_is_honoured(void) {
  tc_token_response later = fixture_status(503);
  later.retry_after = 7;
  begin_requesting();
  STEP(REQUEST, ANSWERED(later));
  CHECK_NUM(scene.engine.seconds, 7);
  STEP(SLEEP, OK);
  later.retry_after = 0;
  STEP(REQUEST, ANSWERED(later));
  CHECK_NUM(scene.engine.seconds, 0.5); /* a date gone by: clocks differ */
  STEP(SLEEP, OK);
  IS_AT(REQUEST);
  end();
}

static void test_retry_after_beyond_the_deadline_fails_at_once(void) {
  tc_token_response later = fixture_status(429);
  later.retry_after = TIMEOUT;
  check_not_repeated(ANSWERED(later), TC_ERR_UNAVAILABLE);
  later.retry_after = 16;
  begin_requesting();
  STEP(REQUEST, ANSWERED(later));
  STEP(SLEEP, OK);
  STEP(REQUEST, ANSWERED(later)); /* 14 seconds are left */
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_UNAVAILABLE);
  CHECK_NUM(scene.engine.error.retry_after, 16);
  end();
}

static void test_a_sleep_that_outlasts_the_deadline(void) {
  tc_token_response busy = fixture_status(503);
  begin_requesting();
  STEP(REQUEST, ANSWERED(busy));
  pass(TIMEOUT);
  STEP(SLEEP, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_TIMEOUT);
  end();
}

static void test_a_load_that_outlasts_the_deadline(void) {
  begin(PLAIN);
  pass(2 * TIMEOUT);
  STEP(LOAD, NONE);
  CHECK_NUM(scene.engine.seconds, 5);
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_TIMEOUT);
  end();
}

static void test_the_deadline_is_kept_by_the_monotonic_clock(void) {
  begin(PLAIN);
  scene.clocks.now += 1e6; /* somebody set the clock */
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  IS_AT(REQUEST);
  CHECK_NUM(tc_engine_time_left(&scene.engine), TIMEOUT);
  end();
}

static void test_a_fit_token_is_returned_however_late(void) {
  tc_token cached = fixture_token("cached", 3600);
  begin(PLAIN);
  pass(2 * TIMEOUT);
  STEP(LOAD, FOUND(cached));
  RETURNS("cached", TC_FROM_CACHE);
  end();
}

static void test_a_cache_that_fails_costs_no_token(void) {
  tc_token_response answer = fixture_answer("new");
  begin(PLAIN);
  STEP(LOAD, FAILED);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, FAILED);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_failed_read_after_the_lock_forgets_nothing(void) {
  tc_token expiring = fixture_token("expiring", 5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin(PLAIN);
  LOAD_LOCK_LOAD(FOUND(expiring), FAILED);
  STEP(REQUEST, BROKE(broken));
  STEP(UNLOCK, OK);
  RETURNS("expiring", TC_FROM_CACHE);
  end();
}

static void test_a_token_removed_before_the_lock_is_forgotten(void) {
  tc_token expiring = fixture_token("expiring", 5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin(PLAIN);
  LOAD_LOCK_LOAD(FOUND(expiring), NONE);
  STEP(REQUEST, BROKE(broken));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_a_clock_set_back_makes_a_token_fit_again(void) {
  tc_token cached = fixture_token("cached", 30);
  begin(PLAIN);
  STEP(LOAD, FOUND(cached));
  scene.clocks.now -= 3600;
  STEP(LOCK, FAILED);
  RETURNS("cached", TC_FROM_CACHE);
  end();
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
