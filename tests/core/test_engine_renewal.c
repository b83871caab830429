/* Runs of a flow whose tokens are logins and can be renewed. What is done about a refresh token
   that the server knows no longer is in test_engine_dead.c. */
#include "scene.h"

static void test_an_expired_login_is_renewed(void) {
  tc_token cached = fixture_login("old", "r/1", -5);
  tc_token_response answer = fixture_login_answer("new", "r/2");
  begin_renewing(&cached, PLAIN);
  RENEWS("r%2F1");
  CHECK_NUM(scene.engine.request.renewed, TC_FROM_CACHE);
  STEP(REQUEST, ANSWERED(answer));
  IS_AT(SAVE); /* before anyone may use it */
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r/2"));
  CHECK_STR(scene.engine.best.token.scope, TC_STR("a b"));
  CHECK_NUM(scene.engine.best.token.authorized_at, cached.authorized_at);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void check_kept(tc_value refresh_token) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = refresh_token;
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, ANSWERED(answer));
  IS_AT(SAVE);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r1"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_an_answer_without_a_refresh_token_keeps_the_old_one(void) {
  check_kept((tc_value){.type = TC_VALUE_ABSENT});
  check_kept(text_value(""));
  check_kept((tc_value){.type = TC_VALUE_OTHER});
}

static void test_the_scope_stays_where_the_answer_has_none(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  cached.scope = TC_STR("a");
  cached.requested_scope = TC_STR("a b");
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, ANSWERED(answer));
  CHECK_STR(scene.engine.best.token.scope, TC_STR("a"));
  CHECK_STR(scene.engine.best.token.requested_scope, TC_STR("a b"));
  end();
}

static void test_a_forced_run_renews_what_the_cache_has_by_then(void) {
  tc_token cached = fixture_login("old", "r1", 3600), newer = fixture_login("newer", "r2", 3600);
  begin_user(FORCED);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(newer));
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
}

static void test_a_forced_run_that_waited_renews_the_newest(void) {
  tc_token cached = fixture_login("old", "r1", 3600), newer = fixture_login("newer", "r2", 3600);
  begin_user(FORCED);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(newer));
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
}

/* RFC 9700 §4.14.2: sent twice, a one-time refresh token takes the whole login with it. */
static void test_what_another_renewed_is_not_renewed_again(void) {
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_login_is_renewed_earlier_than_usual(void) {
  tc_token cached = fixture_login("old", "r1", 200);
  tc_token_response answer = fixture_answer("new");
  begin_renewing(&cached, (tc_engine_options){.earlier = 140.5});
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_earlier_than_usual_another_may_have_renewed_it(void) {
  tc_token cached = fixture_login("old", "r1", 200), newer = fixture_login("newer", "r2", 201);
  begin_user((tc_engine_options){.earlier = 140.5});
  LOAD_LOCK_LOAD(FOUND(cached), FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_earlier_than_usual_nobody_waits(void) {
  tc_token cached = fixture_login("old", "r1", 200);
  begin_user((tc_engine_options){.earlier = 140.5});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, BUSY);
  RETURNS("old", TC_FROM_CACHE);
  end();
}

static void test_a_failed_save_does_not_cost_the_token(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, FAILED);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

/* Sends "r1" and gets a token of a kind nobody understands, beside `refresh_token`. */
static void begin_misunderstood(tc_engine_options options, const char *refresh_token) {
  tc_token cached = fixture_login("old", "r1", options.forced ? 3600 : -5);
  tc_token_response answer = fixture_login_answer("new", refresh_token);
  answer.token_type = text_value("mac");
  begin_renewing(&cached, options);
  STEP(REQUEST, ANSWERED(answer));
}

static void test_a_rotated_token_is_saved_where_the_access_token_is_of_no_use(void) {
  begin_misunderstood(PLAIN, "r2");
  IS_AT(SAVE);
  CHECK(scene.engine.request.rotated);
  CHECK_STR(scene.engine.best.token.access_token, TC_STR("old"));
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  CHECK_NUM(scene.engine.best.token.expires_at, NOW - 5);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_PROTOCOL);
  end();
  begin_misunderstood(FORCED, "r2");
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_PROTOCOL);
  end();
}

static void test_without_rotation_there_is_nothing_to_save(void) {
  begin_misunderstood(PLAIN, "r1");
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_PROTOCOL);
  end();
}

static void test_an_unreadable_cache_is_not_taken_for_an_empty_one(void) {
  begin_user(PLAIN);
  STEP(LOAD, FAILED);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_who_does_without_the_cache_logs_in_where_it_cannot_be_read(void) {
  tc_token expired = fixture_login("expired", "r1", -5);
  begin_user(FORCED);
  STEP(LOAD, FAILED);
  IS_AT(AUTHORIZE);
  end();
  begin_user(FORCED);
  LOAD_LOCK_LOAD(FOUND(expired), FAILED); /* that one may have been renewed since */
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_what_was_read_before_a_failed_read_is_not_renewed(void) {
  tc_token expired = fixture_login("expired", "r1", -5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(expired), FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_what_was_read_before_a_failed_read_serves_to_its_end(void) {
  tc_token expiring = fixture_login("expiring", "r1", 5);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(expiring), FAILED);
  STEP(UNLOCK, OK);
  RETURNS("expiring", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_CACHE);
  end();
}

static void test_the_last_minute_bridges_a_passing_failure(void) {
  tc_token expiring = fixture_login("old", "r1", 30);
  tc_token_response down = fixture_status(500);
  begin_renewing(&expiring, PLAIN);
  STEP(REQUEST, ANSWERED(down));
  STEP(UNLOCK, OK);
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_UNAVAILABLE);
  end();
}

/* The refresh token is not sent under a lock that has ended: it may be spent by now. */
static void test_a_lock_that_has_ended_is_taken_again(void) {
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600);
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  CHECK_NUM(scene.engine.request.attempts, 1);
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(newer));
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_lock_that_keeps_ending_is_given_up(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_renewing(&cached, PLAIN);
  for (int i = 0; i < 2; i++) {
    STEP(REQUEST, NONE);
    STEP(UNLOCK, OK);
    STEP(LOCK, OK);
    STEP(LOAD, FOUND(cached));
    STEP(PROBE, OK);
  }
  STEP(REQUEST, NONE);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  CHECK(strstr(scene.engine.error.message, "the cache's lock ended again and again") != NULL);
  end();
}

int main(void) {
  RUN(test_an_expired_login_is_renewed);
  RUN(test_an_answer_without_a_refresh_token_keeps_the_old_one);
  RUN(test_the_scope_stays_where_the_answer_has_none);
  RUN(test_a_forced_run_renews_what_the_cache_has_by_then);
  RUN(test_a_forced_run_that_waited_renews_the_newest);
  RUN(test_what_another_renewed_is_not_renewed_again);
  RUN(test_a_login_is_renewed_earlier_than_usual);
  RUN(test_earlier_than_usual_another_may_have_renewed_it);
  RUN(test_earlier_than_usual_nobody_waits);
  RUN(test_a_failed_save_does_not_cost_the_token);
  RUN(test_a_rotated_token_is_saved_where_the_access_token_is_of_no_use);
  RUN(test_without_rotation_there_is_nothing_to_save);
  RUN(test_an_unreadable_cache_is_not_taken_for_an_empty_one);
  RUN(test_who_does_without_the_cache_logs_in_where_it_cannot_be_read);
  RUN(test_what_was_read_before_a_failed_read_is_not_renewed);
  RUN(test_what_was_read_before_a_failed_read_serves_to_its_end);
  RUN(test_the_last_minute_bridges_a_passing_failure);
  RUN(test_a_lock_that_has_ended_is_taken_again);
  RUN(test_a_lock_that_keeps_ending_is_given_up);
  return done();
}
