/* Which token wins: the cache's, the one an earlier run could not save, or a new one. */
#include "engine_run.h"

static void begin_unsaved(run *r, const tc_token *unsaved) {
  run_begin(r, (tc_engine_options){.memory = unsaved});
}

static void test_an_unsaved_token_is_saved_again(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 3600);
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  STEP(r, SAVE, DONE);
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  CHECK(!r.engine.unsaved);
  run_end(&r);
}

static void test_an_unsaved_token_is_saved_under_the_lock(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 3600), older = fixture_token("older", 1800);
  begin_unsaved(&r, &unsaved);
  LOAD_LOCK_LOAD(r, FAILED, FOUND(&older));
  STEP(r, SAVE, FAILED);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  CHECK(r.engine.unsaved);
  run_end(&r);
}

static void test_an_unsaved_token_serves_while_the_lock_is_busy(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 3600);
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, BUSY);
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  CHECK(r.engine.unsaved);
  run_end(&r);
}

static void test_an_unsaved_token_is_saved_after_the_deadline(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 3600);
  begin_unsaved(&r, &unsaved);
  run_pass(&r, 2 * TIMEOUT);
  STEP(r, LOAD, NOTHING);
  CHECK_NUM(r.engine.seconds, 5);
  STEP(r, LOCK, DONE);
  STEP(r, LOAD, NOTHING);
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  run_end(&r);
}

static void test_a_newer_cached_token_supersedes_the_unsaved_one(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 1800), newer = fixture_token("newer", 3600);
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, FOUND(&newer));
  RETURNS(r, "newer", TC_FROM_CACHE);
  run_end(&r);
}

static void test_an_unsaved_token_that_was_saved_after_all(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 1800);
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, FOUND(&unsaved));
  RETURNS(r, "unsaved", TC_FROM_CACHE);
  run_end(&r);
}

static void test_a_fit_cached_token_of_unknown_end_supersedes_an_expired_unsaved_one(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", -5), endless = fixture_token("endless", 0);
  endless.expires_at = TC_TIME_UNKNOWN;
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, FOUND(&endless));
  RETURNS(r, "endless", TC_FROM_CACHE);
  run_end(&r);
  unsaved.expires_at = (int64_t)NOW + 3600;
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, FOUND(&endless));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, SAVE, DONE);
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  run_end(&r);
}

static void test_an_expired_cached_token_does_not_hide_an_unsaved_one_with_seconds_left(void) {
  run r;
  tc_token unsaved = fixture_token("unsaved", 5), expired = fixture_token("expired", -5);
  tc_error broken = network_error();
  begin_unsaved(&r, &unsaved);
  STEP(r, LOAD, FOUND(&expired));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, BROKE(&broken));
  RETURNS(r, "unsaved", TC_FROM_MEMORY);
  run_end(&r);
}

/* What is cached is a miss: the run goes on to a request whose answer replaces it. */
static void check_miss(const tc_token *cached) {
  run r;
  tc_token_response answer = fixture_answer("new");
  run_begin(&r, PLAIN);
  LOAD_LOCK_LOAD(r, FOUND(cached), FOUND(cached));
  STEP(r, REQUEST, ANSWER(&answer));
  STEP(r, SAVE, DONE);
  STEP(r, UNLOCK, DONE);
  RETURNS(r, "new", TC_FROM_ANSWER);
  run_end(&r);
}

static void test_tokens_that_are_a_miss(void) {
  tc_token foreign = fixture_token("foreign", 3600), narrow = fixture_token("narrow", 3600),
           unscoped = fixture_token("unscoped", 3600), expired = fixture_token("expired", -1);
  foreign.client_id = TC_STR("another");
  narrow.scope = TC_STR("a");
  unscoped.scope = TC_STR_NONE;
  check_miss(&foreign);
  check_miss(&narrow);
  check_miss(&unscoped);
  check_miss(&expired);
}

static void test_a_token_of_another_client_never_serves(void) {
  run r;
  tc_token foreign = fixture_token("foreign", 30);
  tc_error broken = network_error();
  foreign.client_id = TC_STR("another");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&foreign));
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, BROKE(&broken));
  FAILS(r, TC_ERR_NETWORK);
  run_end(&r);
}

static void test_a_narrower_grant_is_asked_for_once(void) {
  run r;
  tc_token_response answer = fixture_answer("narrow");
  tc_token saved = TC_TOKEN_NONE;
  tc_error err = TC_ERROR_NONE;
  answer.scope = text_value("a");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&answer));
  CHECK_STR(r.engine.token.scope, TC_STR("a"));
  CHECK_STR(r.engine.token.requested_scope, TC_STR("a b"));
  CHECK_NUM(tc_token_assign(&saved, &r.engine.token, &err), 0);
  STEP(r, SAVE, DONE);
  run_end(&r);
  run_begin(&r, PLAIN);
  STEP(r, LOAD, FOUND(&saved));
  RETURNS(r, "narrow", TC_FROM_CACHE);
  run_end(&r);
  tc_token_clear(&saved);
}

static void test_a_wider_grant_needs_no_note(void) {
  run r;
  tc_token_response answer = fixture_answer("wide");
  answer.scope = text_value("c b a");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&answer));
  CHECK_STR(r.engine.token.scope, TC_STR("c b a"));
  CHECK(r.engine.token.requested_scope.data == NULL);
  run_end(&r);
}

/* RFC 6749 §4.4.3: there should be none; kept, it would make the token look like a login. */
static void test_a_refresh_token_without_a_user_is_dropped(void) {
  run r;
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = text_value("r3fresh");
  run_begin(&r, PLAIN);
  STEP(r, LOAD, NOTHING);
  STEP(r, LOCK, NO_LOCK);
  STEP(r, REQUEST, ANSWER(&answer));
  IS_AT(r, SAVE);
  CHECK_NUM(r.engine.token.refresh_token.len, 0);
  run_end(&r);
}

static void check_login_untouched(tc_engine_options options) {
  run r;
  tc_token login = fixture_login("access", "r3fresh", 3600);
  run_begin(&r, options);
  STEP(r, LOAD, FOUND(&login));
  FAILS(r, TC_ERR_CONFIG);
  CHECK(strstr(r.engine.error.message, "r3fresh") == NULL);
  run_end(&r);
}

static void test_a_flow_without_users_leaves_a_login_alone(void) {
  tc_token unsaved = fixture_token("unsaved", 3600);
  check_login_untouched(PLAIN);
  check_login_untouched(FORCED);
  check_login_untouched((tc_engine_options){.memory = &unsaved});
}

static void test_a_login_that_came_before_the_lock_is_left_alone(void) {
  run r;
  tc_token login = fixture_login("access", "r3fresh", 3600);
  run_begin(&r, PLAIN);
  LOAD_LOCK_LOAD(r, NOTHING, FOUND(&login));
  STEP(r, UNLOCK, DONE);
  FAILS(r, TC_ERR_CONFIG);
  run_end(&r);
}

int main(void) {
  RUN(test_an_unsaved_token_is_saved_again);
  RUN(test_an_unsaved_token_is_saved_under_the_lock);
  RUN(test_an_unsaved_token_serves_while_the_lock_is_busy);
  RUN(test_an_unsaved_token_is_saved_after_the_deadline);
  RUN(test_a_newer_cached_token_supersedes_the_unsaved_one);
  RUN(test_an_unsaved_token_that_was_saved_after_all);
  RUN(test_a_fit_cached_token_of_unknown_end_supersedes_an_expired_unsaved_one);
  RUN(test_an_expired_cached_token_does_not_hide_an_unsaved_one_with_seconds_left);
  RUN(test_tokens_that_are_a_miss);
  RUN(test_a_token_of_another_client_never_serves);
  RUN(test_a_narrower_grant_is_asked_for_once);
  RUN(test_a_wider_grant_needs_no_note);
  RUN(test_a_refresh_token_without_a_user_is_dropped);
  RUN(test_a_flow_without_users_leaves_a_login_alone);
  RUN(test_a_login_that_came_before_the_lock_is_left_alone);
  return done();
}
