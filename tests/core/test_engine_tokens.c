/* Which token wins, the cache's or a new one, and what is kept of an answer. */
#include "scene.h"

/* What is cached is a miss: the run goes on to a request whose answer replaces it. */
static void check_miss(const tc_token *cached) {
  tc_token_response answer = fixture_answer("new");
  begin(PLAIN);
  LOAD_LOCK_LOAD(FOUND(*cached), FOUND(*cached));
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
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
  tc_token foreign = fixture_token("foreign", 30);
  tc_error broken = an_error(TC_ERR_NETWORK);
  foreign.client_id = TC_STR("another");
  begin(PLAIN);
  STEP(LOAD, FOUND(foreign));
  STEP(LOCK, FAILED);
  STEP(REQUEST, BROKE(broken));
  FAILS(TC_ERR_NETWORK);
  end();
}

static void test_a_narrower_grant_is_asked_for_once(void) {
  tc_token_response answer = fixture_answer("narrow");
  tc_token saved = TC_TOKEN_NONE;
  tc_error err = TC_ERROR_NONE;
  answer.scope = text_value("a");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(answer));
  CHECK_STR(scene.engine.best.token.scope, TC_STR("a"));
  CHECK_STR(scene.engine.best.token.requested_scope, TC_STR("a b"));
  CHECK_NUM(tc_token_assign(&saved, &scene.engine.best.token, &err), 0);
  STEP(SAVE, OK);
  end();
  begin(PLAIN);
  STEP(LOAD, FOUND(saved));
  RETURNS("narrow", TC_FROM_CACHE);
  end();
  tc_token_clear(&saved);
}

static void test_a_wider_grant_needs_no_note(void) {
  tc_token_response answer = fixture_answer("wide");
  answer.scope = text_value("c b a");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(answer));
  CHECK_STR(scene.engine.best.token.scope, TC_STR("c b a"));
  CHECK(scene.engine.best.token.requested_scope.data == NULL);
  end();
}

/* RFC 6749 §4.4.3: there should be none; kept, it would make the token look like a login. */
static void test_a_refresh_token_without_a_user_is_dropped(void) {
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = text_value("r3fresh");
  begin(PLAIN);
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(answer));
  IS_AT(SAVE);
  CHECK_NUM(scene.engine.best.token.refresh_token.len, 0);
  end();
}

static void check_login_untouched(tc_engine_options options) {
  tc_token login = fixture_login("access", "r3fresh", 3600);
  begin(options);
  STEP(LOAD, FOUND(login));
  FAILS(TC_ERR_CONFIG);
  CHECK(strstr(scene.engine.error.message, "r3fresh") == NULL);
  end();
}

static void test_a_flow_without_users_leaves_a_login_alone(void) {
  check_login_untouched(PLAIN);
  check_login_untouched(FORCED);
}

static void test_a_login_that_came_before_the_lock_is_left_alone(void) {
  tc_token login = fixture_login("access", "r3fresh", 3600);
  begin(PLAIN);
  LOAD_LOCK_LOAD(NONE, FOUND(login));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CONFIG);
  end();
}

int main(void) {
  RUN(test_tokens_that_are_a_miss);
  RUN(test_a_token_of_another_client_never_serves);
  RUN(test_a_narrower_grant_is_asked_for_once);
  RUN(test_a_wider_grant_needs_no_note);
  RUN(test_a_refresh_token_without_a_user_is_dropped);
  RUN(test_a_flow_without_users_leaves_a_login_alone);
  RUN(test_a_login_that_came_before_the_lock_is_left_alone);
  return done();
}
