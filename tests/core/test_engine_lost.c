/* The answer to a renewal is lost on its way: the same refresh token is sent once more, at once. */
#include "scene.h"

static const tc_engine_options options = {.timeout = 20, .request_time = 10};

static void begin_lost(double after) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_renewing(&cached, options);
  pass(after);
  STEP(REQUEST, BROKE(broken));
}

static void test_the_same_token_is_sent_once_more(void) {
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_lost(1);
  RENEWS("r1");
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

static void test_it_is_not_sent_a_third_time(void) {
  tc_error broken = an_error(TC_ERR_NETWORK), late = an_error(TC_ERR_TIMEOUT);
  tc_error errors[] = {broken, late};
  for (size_t i = 0; i < 2; i++) {
    begin_lost(1);
    STEP(REQUEST, BROKE(errors[i]));
    STEP(UNLOCK, OK);
    FAILS(errors[i].number);
    end();
  }
}

static void test_the_login_stays_whatever_comes_of_it(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response away = fixture_status(500), dead = fixture_refusal(400, "invalid_grant");
  begin_lost(1);
  STEP(REQUEST, ANSWERED(away));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_UNAVAILABLE);
  end();
  begin_lost(1);
  STEP(REQUEST, ANSWERED(dead)); /* no grace: the first one was spent */
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(cached));
  STEP(REMOVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_it_has_what_is_left_of_the_first_ones_time(void) {
  begin_lost(15); /* of 20 */
  IS_AT(REQUEST);
  CHECK_NUM(scene.engine.request.deadline, scene.clocks.monotonic + 5);
  end();
  begin_lost(20);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_it_is_sent_after_the_runs_deadline_too(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_renewing(&cached, (tc_engine_options){.timeout = 1, .request_time = 10});
  pass(4);
  STEP(REQUEST, BROKE(broken));
  CHECK_NUM(scene.engine.request.deadline, scene.clocks.monotonic + 6);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_only_a_lost_answer_is_asked_for_again(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_error untrusted = an_error(TC_ERR_TLS), away = an_error(TC_ERR_CONNECT);
  begin_renewing(&cached, options);
  STEP(REQUEST, BROKE(untrusted));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_TLS);
  end();
  begin_renewing(&cached, options);
  STEP(REQUEST, UNSENT(away));
  STEP(SLEEP, OK); /* there is no hurry */
  IS_AT(REQUEST);
  end();
}

/* A code may be used once, and client credentials bring another token another time. */
static void test_only_renewals_are_sent_again(void) {
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_user(options);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, OK);
  STEP(REQUEST, BROKE(broken));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  CHECK(!tc_engine_code_is_unused(&scene.engine));
  end();
  begin(options);
  LOAD_LOCK_LOAD(NONE, NONE);
  STEP(REQUEST, BROKE(broken));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_without_a_lock_it_is_sent_again_as_well(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_user(BARE);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  STEP(REQUEST, BROKE(broken));
  RENEWS("r1");
  STEP(REQUEST, BROKE(broken));
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_it_does_not_count_as_an_attempt(void) {
  tc_error away = an_error(TC_ERR_CONNECT);
  begin_lost(1);
  CHECK_NUM(scene.engine.request.attempts, 1);
  STEP(REQUEST, UNSENT(away));
  STEP(SLEEP, OK);
  STEP(REQUEST, UNSENT(away));
  STEP(SLEEP, OK);
  STEP(REQUEST, UNSENT(away));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CONNECT);
  end();
}

static void test_a_pause_that_outlasts_its_time_ends_it(void) {
  tc_token_response busy = fixture_status(503);
  begin_lost(1);
  STEP(REQUEST, ANSWERED(busy));
  pass(20);
  STEP(SLEEP, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_TIMEOUT);
  end();
}

/* Another may have been given the successor, and the lock shows it. */
static void test_it_is_not_sent_under_a_lock_that_has_ended(void) {
  tc_token newer = fixture_login("newer", "r2", 3600), cached = fixture_login("old", "r1", -5);
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_lost(1);
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();

  begin_lost(1);
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  STEP(REQUEST, BROKE(broken)); /* that was the second time */
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
}

/* "r1" is called dead when it is sent once more; the cache holds "r2" by then. */
static void begin_next(double after) {
  tc_token next = fixture_login("next", "r2", -1);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_lost(1);
  pass(after);
  STEP(REQUEST, ANSWERED(dead));
  if (after < 19) STEP(SLEEP, OK);
  STEP(LOAD, FOUND(next));
  STEP(PROBE, OK);
}

static void test_another_token_has_a_renewal_of_its_own(void) {
  tc_error broken = an_error(TC_ERR_NETWORK);
  begin_next(14); /* 5 seconds are left of the run */
  RENEWS("r2");
  CHECK_NUM(scene.engine.request.deadline, scene.clocks.monotonic + 10);
  STEP(REQUEST, BROKE(broken));
  RENEWS("r2");
  STEP(REQUEST, BROKE(broken));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_NETWORK);
  end();
  begin_next(19);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_TIMEOUT);
  end();
}

int main(void) {
  RUN(test_the_same_token_is_sent_once_more);
  RUN(test_it_is_not_sent_a_third_time);
  RUN(test_the_login_stays_whatever_comes_of_it);
  RUN(test_it_has_what_is_left_of_the_first_ones_time);
  RUN(test_it_is_sent_after_the_runs_deadline_too);
  RUN(test_only_a_lost_answer_is_asked_for_again);
  RUN(test_only_renewals_are_sent_again);
  RUN(test_without_a_lock_it_is_sent_again_as_well);
  RUN(test_it_does_not_count_as_an_attempt);
  RUN(test_a_pause_that_outlasts_its_time_ends_it);
  RUN(test_it_is_not_sent_under_a_lock_that_has_ended);
  RUN(test_another_token_has_a_renewal_of_its_own);
  return done();
}
