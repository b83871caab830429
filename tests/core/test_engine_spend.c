/* A refresh token is spent only under the account's lock and where its successor can be kept; and
   what is sent has the time to be finished. */
#include "scene.h"

/* A client whose provider leaves a refresh token as it is when it is used. */
static tc_client reusing_client(void) {
  tc_client_config config = fixture_config();
  config.reuses = true;
  return fixture_user_client(&config);
}

static void test_the_probe_comes_before_the_request(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  STEP(PROBE, OK);
  RENEWS("r1");
  end();
}

static void test_nothing_is_sent_where_the_cache_cannot_save(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  STEP(PROBE, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  CHECK(strstr(scene.engine.error.message, "nothing was sent") != NULL);
  end();
}

static void test_a_token_with_seconds_left_serves_where_the_cache_cannot_save(void) {
  tc_token cached = fixture_login("old", "r1", 5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  STEP(PROBE, FAILED);
  STEP(UNLOCK, OK);
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_CACHE);
  end();
}

/* Somebody who knows no lock wrote it between the look and the probe. */
static void test_another_entry_found_by_the_probe_is_read(void) {
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600),
           stale = fixture_login("stale", "r2", -1);
  tc_engine_options options[] = {PLAIN, {.lockless = true}};
  for (size_t i = 0; i < 2; i++) {
    begin_user(options[i]);
    STEP(LOAD, FOUND(cached));
    if (i == 0) STEP(LOCK, OK);
    if (i == 0) STEP(LOAD, FOUND(cached));
    STEP(PROBE, NONE);
    STEP(LOAD, FOUND(newer));
    if (i == 0) STEP(UNLOCK, OK);
    RETURNS("newer", TC_FROM_CACHE);
    end();
  }
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  STEP(PROBE, NONE);
  STEP(LOAD, FOUND(stale));
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  STEP(PROBE, NONE);
  STEP(LOAD, NONE);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_an_entry_that_changes_all_the_time_is_given_up(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  for (int i = 0; i < 3; i++) {
    STEP(PROBE, NONE);
    STEP(LOAD, FOUND(cached));
  }
  STEP(PROBE, NONE);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  CHECK(strstr(scene.engine.error.message, "nothing was sent") != NULL);
  end();
}

static void test_a_lock_that_fails_sends_no_refresh_token(void) {
  tc_token expired = fixture_login("old", "r1", -5), expiring = fixture_login("old", "r1", 5);
  begin_user(PLAIN);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_CACHE);
  CHECK(strstr(scene.engine.error.message, "nothing was sent") != NULL);
  end();
  begin_user(PLAIN);
  STEP(LOAD, FOUND(expiring));
  STEP(LOCK, FAILED);
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_CACHE);
  end();
  begin_user(FORCED);
  STEP(LOAD, FOUND(expiring));
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_a_lock_that_fails_after_it_had_ended_sends_nothing(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_the_error_of_a_lock_ends_the_run(void) {
  tc_token expired = fixture_login("old", "r1", -5), expiring = fixture_login("old", "r1", 5);
  tc_error owed = TC_ERROR_NONE;
  (void)tc_error_set(&owed, TC_ERR_CACHE, "another process has a token that it could not save");
  begin_user(PLAIN);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, BROKE(owed));
  FAILS(TC_ERR_CACHE);
  CHECK_TEXT(scene.engine.error.message, owed.message);
  end();
  begin_user(PLAIN);
  STEP(LOAD, FOUND(expiring));
  STEP(LOCK, BROKE(owed));
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_CACHE);
  end();
  begin_as(reusing_client(), PLAIN);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, BROKE(owed));
  FAILS(TC_ERR_CACHE);
  end();
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, BROKE(owed));
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_client_credentials_spend_nothing(void) {
  tc_token_response answer = fixture_answer("new");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_refresh_token_that_stays_the_same_needs_neither(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  begin_as(reusing_client(), PLAIN);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  RENEWS("r1");
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
  begin_as(reusing_client(), PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  RENEWS("r1");
  end();
}

static void test_a_handler_without_a_lock_goes_on_as_ever(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(BARE);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  RENEWS("r1");
  end();
}

static double time_of_request(void) {
  return scene.engine.request.deadline - scene.clocks.monotonic;
}

static void check_time(tc_engine_options options, double spent, double want) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(options);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  pass(spent);
  STEP(PROBE, OK);
  IS_AT(REQUEST);
  CHECK_NUM(time_of_request(), want);
  CHECK_NUM(tc_engine_time_left(&scene.engine), options.timeout - spent);
  end();
}

static void test_a_renewal_has_its_own_time_beyond_the_deadline(void) {
  check_time((tc_engine_options){.timeout = 30, .request_time = 10}, 0, 30);
  check_time((tc_engine_options){.timeout = 30, .request_time = 10}, 20, 10);
  check_time((tc_engine_options){.timeout = 30, .request_time = 10}, 29, 10);
  check_time((tc_engine_options){.timeout = 0.5, .request_time = 10}, 0.25, 10);
}

static void test_a_renewal_is_not_begun_after_the_deadline(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user((tc_engine_options){.request_time = 10});
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(cached));
  pass(TIMEOUT);
  STEP(PROBE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_TIMEOUT);
  end();
}

static void test_what_spends_nothing_has_the_rest_of_the_time(void) {
  begin((tc_engine_options){.timeout = 5, .request_time = 10});
  LOAD_LOCK_LOAD(NONE, NONE);
  IS_AT(REQUEST);
  CHECK_NUM(time_of_request(), 5);
  end();
  begin_user((tc_engine_options){.timeout = 5, .request_time = 10});
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, OK);
  IS_AT(REQUEST);
  CHECK_NUM(time_of_request(), 5);
  end();
}

static void test_the_answer_to_a_renewal_counts_after_the_deadline_too(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_renewing(&cached, (tc_engine_options){.timeout = 1, .request_time = 10});
  pass(9);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_lock_outlives_the_request(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user((tc_engine_options){.timeout = 20, .request_time = 10});
  STEP(LOAD, FOUND(cached));
  CHECK_NUM(scene.engine.seconds, 20 + 10 + 5);
  pass(50);
  STEP(LOCK, BUSY);
  FAILS(TC_ERR_TIMEOUT);
  end();
  begin((tc_engine_options){.timeout = 20, .request_time = 10}); /* it renews nothing */
  STEP(LOAD, NONE);
  CHECK_NUM(scene.engine.seconds, 20 + 5);
  end();
}

int main(void) {
  RUN(test_the_probe_comes_before_the_request);
  RUN(test_nothing_is_sent_where_the_cache_cannot_save);
  RUN(test_a_token_with_seconds_left_serves_where_the_cache_cannot_save);
  RUN(test_another_entry_found_by_the_probe_is_read);
  RUN(test_an_entry_that_changes_all_the_time_is_given_up);
  RUN(test_a_lock_that_fails_sends_no_refresh_token);
  RUN(test_a_lock_that_fails_after_it_had_ended_sends_nothing);
  RUN(test_the_error_of_a_lock_ends_the_run);
  RUN(test_client_credentials_spend_nothing);
  RUN(test_a_refresh_token_that_stays_the_same_needs_neither);
  RUN(test_a_handler_without_a_lock_goes_on_as_ever);
  RUN(test_a_renewal_has_its_own_time_beyond_the_deadline);
  RUN(test_a_renewal_is_not_begun_after_the_deadline);
  RUN(test_what_spends_nothing_has_the_rest_of_the_time);
  RUN(test_the_answer_to_a_renewal_counts_after_the_deadline_too);
  RUN(test_a_lock_outlives_the_request);
  return done();
}
