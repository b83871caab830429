/* Runs of a flow whose tokens are logins and can be renewed. */
#include "engine_run.h"

/* Loads `cached`, takes the lock, finds it still there, and is about to renew it. */
static void begin_renewing(run *r, const tc_token *cached, tc_engine_options options) {
  run_begin_user(r, options);
  LOAD_LOCK_LOAD(*r, FOUND(cached), FOUND(cached));
}

static void check_renews(run *r, const char *encoded_token) {
  char body[100];
  if (!IS_AT(*r, REQUEST)) return;
  (void)snprintf(body, sizeof body, "grant_type=refresh_token&refresh_token=%s", encoded_token);
  CHECK_STR(tc_buf_str(&r->engine.body), tc_str_of(body));
}

static void test_an_expired_login_is_renewed(void) {
  run r;
  tc_token cached = fixture_login("old", "r/1", -5);
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = text_value("r/2");
  begin_renewing(&r, &cached, PLAIN);
  check_renews(&r, "r%2F1");
  CHECK_NUM(r.engine.renewed, TC_FROM_CACHE);
  STEP(r, REQUEST, ANSWER(&answer));
  IS_AT(r, SAVE); /* before anyone may use it */
  CHECK_STR(r.engine.token.refresh_token, TC_STR("r/2"));
  CHECK_NUM(r.engine.token.authorized_at, cached.authorized_at);
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void check_kept(tc_value refresh_token) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = refresh_token;
  begin_renewing(&r, &cached, PLAIN);
  STEP(r, REQUEST, ANSWER(&answer));
  IS_AT(r, SAVE);
  CHECK_STR(r.engine.token.refresh_token, TC_STR("r1"));
  run_end(&r);
}

static void test_an_answer_without_a_refresh_token_keeps_the_old_one(void) {
  check_kept((tc_value){.type = TC_VALUE_ABSENT});
  check_kept(text_value(""));
  check_kept((tc_value){.type = TC_VALUE_OTHER});
}

static void test_the_scope_stays_where_the_answer_has_none(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  cached.scope = TC_STR("a");
  cached.requested_scope = TC_STR("a b");
  begin_renewing(&r, &cached, PLAIN);
  STEP(r, REQUEST, ANSWER(&answer));
  CHECK_STR(r.engine.token.scope, TC_STR("a"));
  CHECK_STR(r.engine.token.requested_scope, TC_STR("a b"));
  run_end(&r);
}

static void test_a_new_login_is_dated(void) {
  run r;
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = text_value("r1");
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, AUTHORIZE, LOGGED_IN);
  STEP(r, LOCK, NO_LOCK);
  run_pass(&r, 3.5);
  STEP(r, REQUEST, ANSWER(&answer));
  CHECK_NUM(r.engine.token.authorized_at, NOW + 3);
  CHECK_STR(r.engine.token.refresh_token, TC_STR("r1"));
  run_end(&r);
}

static void test_a_forced_run_renews_what_the_cache_has_by_then(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", 3600), newer = fixture_login("newer", "r2", 3600);
  run_begin_user(&r, FORCED);
  LOAD_LOCK_LOAD(r, FOUND(&cached), FOUND(&newer));
  check_renews(&r, "r2");
  run_end(&r);
}

/* RFC 9700 §4.14.2: sent twice, a one-time refresh token takes the whole login with it. */
static void test_what_another_renewed_is_not_renewed_again(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600);
  run_begin_user(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&cached), FOUND(&newer));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_login_is_renewed_earlier_than_usual(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", 200);
  tc_token_response answer = fixture_answer("new");
  begin_renewing(&r, &cached, (tc_engine_options){.earlier = 140.5});
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void test_earlier_than_usual_another_may_have_renewed_it(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", 200), newer = fixture_login("newer", "r2", 201);
  run_begin_user(&r, (tc_engine_options){.earlier = 140.5});
  LOAD_LOCK_LOAD(r, FOUND(&cached), FOUND(&newer));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_earlier_than_usual_nobody_waits(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", 200);
  run_begin_user(&r, (tc_engine_options){.earlier = 140.5});
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NOTHING);
  RETURNS(r, "old", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_rotated_token_outlives_a_failed_save(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5), kept = TC_TOKEN_NONE;
  tc_token_response answer = fixture_answer("new");
  tc_error err = TC_ERROR_NONE;
  answer.refresh_token = text_value("r2");
  begin_renewing(&r, &cached, PLAIN);
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, FAILED);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  CHECK(r.engine.unsaved);
  CHECK_NUM(tc_token_assign(&kept, &r.engine.token, &err), 0);
  run_end(&r);

  run_begin_user(&r, (tc_engine_options){.memory = &kept});
  r.clocks.now += 7200; /* it expired meanwhile; the cache still holds the burnt r1 */
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  check_renews(&r, "r2");
  CHECK_NUM(r.engine.renewed, TC_FROM_MEMORY);
  run_end(&r);
  tc_token_clear(&kept);
}

/* Sends "r1" and gets a token of a kind nobody understands, beside `refresh_token`. */
static void begin_misunderstood(run *r, tc_engine_options options, const char *refresh_token) {
  tc_token cached = fixture_login("old", "r1", options.forced ? 3600 : -5);
  tc_token_response answer = fixture_answer("new");
  answer.token_type = text_value("mac");
  answer.refresh_token = text_value(refresh_token);
  begin_renewing(r, &cached, options);
  STEP(*r, REQUEST, ANSWER(&answer));
}

static void test_a_rotated_token_is_saved_where_the_access_token_is_of_no_use(void) {
  run r;
  begin_misunderstood(&r, PLAIN, "r2");
  IS_AT(r, SAVE);
  CHECK(r.engine.rotated);
  CHECK_STR(r.engine.token.access_token, TC_STR("old"));
  CHECK_STR(r.engine.token.refresh_token, TC_STR("r2"));
  CHECK_NUM(r.engine.token.expires_at, NOW - 5);
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_PROTOCOL);
  run_end(&r);
  begin_misunderstood(&r, FORCED, "r2");
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_PROTOCOL);
  run_end(&r);
}

static void test_without_rotation_there_is_nothing_to_save(void) {
  run r;
  begin_misunderstood(&r, PLAIN, "r1");
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_PROTOCOL);
  run_end(&r);
}

static void test_what_is_only_rotated_outlives_a_failed_save(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5), kept = fixture_login("old", "r2", -5);
  begin_misunderstood(&r, PLAIN, "r2");
  STEP(r, SAVE, FAILED);
  CHECK(r.engine.unsaved);
  run_end(&r);

  run_begin_user(&r, (tc_engine_options){.memory = &kept, .replaced = TC_STR("old")});
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  check_renews(&r, "r2");
  run_end(&r);
}

static void test_a_refresh_token_is_not_given_up_for_a_token_of_unknown_end(void) {
  run r;
  tc_token unsaved = fixture_login("unsaved", "r2", -5), endless = fixture_login("old", "r1", 0);
  endless.expires_at = TC_TIME_UNKNOWN;
  run_begin_user(&r, (tc_engine_options){.memory = &unsaved});
  STEP(r, LOAD, FOUND(&endless));
  STEP(r, LOCK, NO_LOCK);
  check_renews(&r, "r2");
  run_end(&r);
}

static void test_an_unreadable_cache_is_not_taken_for_an_empty_one(void) {
  run r;
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, FAILED);
  FAILS(r, TC_ERR_CACHE);
  run_end(&r);
}

static void test_what_was_read_before_a_failed_read_is_not_renewed(void) {
  run r;
  tc_token expired = fixture_login("expired", "r1", -5);
  run_begin_user(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&expired), FAILED);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_CACHE);
  run_end(&r);
}

static void test_what_was_read_before_a_failed_read_serves_to_its_end(void) {
  run r;
  tc_token expiring = fixture_login("expiring", "r1", 5);
  run_begin_user(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(&expiring), FAILED);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "expiring", TC_FROM_CACHE);
  CHECK_NUM(r.engine.error.number, TC_ERR_CACHE);
  run_end(&r);
}

/* The server refuses the refresh token "r1"; the look whether it is still cached brings `found`. */
static void begin_dead(run *r, tc_engine_options options, tc_result found) {
  tc_token cached = fixture_login("old", "r1", options.forced ? 3600 : 5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_renewing(r, &cached, options);
  STEP(*r, REQUEST, ANSWER(&dead));
  STEP(*r, LOAD, found);
}

static void test_a_dead_login_is_removed(void) {
  run r;
  tc_token still = fixture_login("old", "r1", 5);
  begin_dead(&r, PLAIN, FOUND(&still));
  STEP(r, REMOVE, DONE);
  CHECK(!tc_token_exists(&r.engine.token));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_REAUTHORIZE);
  CHECK_TEXT(r.engine.error.code, "invalid_grant");
  run_end(&r);
}

static void test_a_dead_login_that_cannot_be_removed(void) {
  run r;
  tc_token still = fixture_login("old", "r1", 5);
  begin_dead(&r, PLAIN, FOUND(&still));
  STEP(r, REMOVE, FAILED);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

static void test_a_login_replaced_meanwhile_is_used(void) {
  run r;
  tc_token newer = fixture_login("newer", "r2", 3600);
  begin_dead(&r, PLAIN, FOUND(&newer));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "newer", TC_FROM_CACHE);
  CHECK_NUM(r.engine.error.number, 0);
  run_end(&r);
}

static void test_a_login_replaced_meanwhile_is_renewed_if_it_must_be(void) {
  run r;
  tc_token newer = fixture_login("newer", "r2", -5), fit = fixture_login("newer", "r2", 3600);
  begin_dead(&r, PLAIN, FOUND(&newer));
  check_renews(&r, "r2");
  run_end(&r);
  begin_dead(&r, FORCED, FOUND(&fit));
  check_renews(&r, "r2");
  run_end(&r);
}

static void test_a_cache_that_keeps_changing_costs_three_requests(void) {
  run r;
  tc_token second = fixture_login("t2", "r2", -5), third = fixture_login("t3", "r3", -5),
           fourth = fixture_login("t4", "r4", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_dead(&r, PLAIN, FOUND(&second));
  STEP(r, REQUEST, ANSWER(&dead));
  STEP(r, LOAD, FOUND(&third));
  STEP(r, REQUEST, ANSWER(&dead));
  STEP(r, LOAD, FOUND(&fourth));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

/* What replaced the dead token neither helps nor is dead itself: it stays. */
static void check_left_alone(tc_result found) {
  run r;
  begin_dead(&r, PLAIN, found);
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

static void test_only_the_dead_token_is_removed(void) {
  tc_token foreign = fixture_login("foreign", "r9", 3600), expired = fixture_token("expired", -5);
  foreign.client_id = TC_STR("another");
  check_left_alone(FOUND(&foreign));
  check_left_alone(FOUND(&expired));
  check_left_alone(NOTHING);
  check_left_alone(FAILED);
}

static void test_a_fit_token_without_a_refresh_token_may_replace_the_dead_one(void) {
  run r;
  tc_token fit = fixture_token("fit", 3600);
  begin_dead(&r, PLAIN, FOUND(&fit));
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "fit", TC_FROM_CACHE);
  run_end(&r);
}

static void check_login_survives(tc_result result, int number) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  begin_renewing(&r, &cached, PLAIN);
  STEP(r, REQUEST, result);
  STEP(r, UNLOCK, DONE);
  FAILS(r, number);
  run_end(&r);
}

static void test_other_failures_never_throw_a_login_away(void) {
  tc_error broken = network_error();
  tc_token_response trouble = fixture_refusal(500, "invalid_grant"), away = fixture_status(500),
                    refused = fixture_refusal(401, "invalid_client"), html = fixture_status(200);
  check_login_survives(BROKE(&broken), TC_ERR_NETWORK);
  check_login_survives(ANSWER(&trouble), TC_ERR_UNAVAILABLE);
  check_login_survives(ANSWER(&away), TC_ERR_UNAVAILABLE);
  check_login_survives(ANSWER(&refused), TC_ERR_CONFIG);
  check_login_survives(ANSWER(&html), TC_ERR_PROTOCOL);
}

static void test_without_a_lock_the_winner_is_given_time_to_save(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&dead));
  CHECK(r.engine.seconds == 0.5);
  STEP(r, SLEEP, DONE);
  STEP(r, LOAD, FOUND(&newer));
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_where_one_may_not_wait_the_cache_is_looked_at_once(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  tc_error refused = network_error();
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&dead));
  STEP(r, SLEEP, BROKE(&refused));
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, REMOVE, DONE);
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

/* The refresh token is not sent under a lock that has ended: it may be spent by now. */
static void test_a_lock_that_has_ended_is_taken_again(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", 3600);
  begin_renewing(&r, &cached, PLAIN);
  STEP(r, REQUEST, NOTHING);
  STEP(r, UNLOCK, DONE);
  STEP(r, LOCK, DONE);
  STEP(r, LOAD, FOUND(&cached));
  CHECK_NUM(r.engine.attempts, 1);
  STEP(r, REQUEST, NOTHING);
  STEP(r, UNLOCK, DONE);
  STEP(r, LOCK, BUSY);
  STEP(r, SLEEP, DONE);
  STEP(r, LOAD, FOUND(&newer));
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

/* A job in the middle of the night must not open a browser because another found the login dead. */
static void test_who_waited_for_a_login_that_is_gone_is_not_asked_to_log_in(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, FOUND(&cached));
  STEP(r, LOCK, BUSY);
  STEP(r, SLEEP, DONE);
  STEP(r, LOAD, NOTHING);
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

static void test_a_refused_code_verifies_nothing(void) {
  run r;
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  run_begin_user(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, AUTHORIZE, LOGGED_IN);
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&dead));
  FAILS(r, TC_ERR_REAUTHORIZE);
  run_end(&r);
}

int main(void) {
  RUN(test_an_expired_login_is_renewed);
  RUN(test_an_answer_without_a_refresh_token_keeps_the_old_one);
  RUN(test_the_scope_stays_where_the_answer_has_none);
  RUN(test_a_new_login_is_dated);
  RUN(test_a_forced_run_renews_what_the_cache_has_by_then);
  RUN(test_what_another_renewed_is_not_renewed_again);
  RUN(test_a_login_is_renewed_earlier_than_usual);
  RUN(test_earlier_than_usual_another_may_have_renewed_it);
  RUN(test_earlier_than_usual_nobody_waits);
  RUN(test_a_rotated_token_outlives_a_failed_save);
  RUN(test_a_rotated_token_is_saved_where_the_access_token_is_of_no_use);
  RUN(test_without_rotation_there_is_nothing_to_save);
  RUN(test_what_is_only_rotated_outlives_a_failed_save);
  RUN(test_a_refresh_token_is_not_given_up_for_a_token_of_unknown_end);
  RUN(test_an_unreadable_cache_is_not_taken_for_an_empty_one);
  RUN(test_what_was_read_before_a_failed_read_is_not_renewed);
  RUN(test_what_was_read_before_a_failed_read_serves_to_its_end);
  RUN(test_a_dead_login_is_removed);
  RUN(test_a_dead_login_that_cannot_be_removed);
  RUN(test_a_login_replaced_meanwhile_is_used);
  RUN(test_a_login_replaced_meanwhile_is_renewed_if_it_must_be);
  RUN(test_a_cache_that_keeps_changing_costs_three_requests);
  RUN(test_only_the_dead_token_is_removed);
  RUN(test_without_a_lock_the_winner_is_given_time_to_save);
  RUN(test_where_one_may_not_wait_the_cache_is_looked_at_once);
  RUN(test_a_lock_that_has_ended_is_taken_again);
  RUN(test_a_fit_token_without_a_refresh_token_may_replace_the_dead_one);
  RUN(test_other_failures_never_throw_a_login_away);
  RUN(test_who_waited_for_a_login_that_is_gone_is_not_asked_to_log_in);
  RUN(test_a_refused_code_verifies_nothing);
  return done();
}
