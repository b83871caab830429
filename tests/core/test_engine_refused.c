/* Runs that are told which access token the API refuses. */
#include "scene.h"

static tc_engine_options refusing(const char *access_token) {
  return (tc_engine_options){.refused = tc_str_of(access_token)};
}

/* A login issued `age` seconds ago that lives for an hour. */
static tc_token issued(const char *access_token, const char *refresh_token, int age) {
  tc_token token = fixture_login(access_token, refresh_token, 3600 - age);
  token.expires_in = 3600;
  return token;
}

static void test_another_fit_token_is_returned_without_a_lock(void) {
  tc_token newer = issued("newer", "r2", 1);
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(newer));
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_another_fit_token_is_returned_under_the_lock(void) {
  tc_token bad = issued("bad", "r1", 600), newer = issued("newer", "r2", 1);
  begin_user(refusing("bad"));
  LOAD_LOCK_LOAD(FOUND(bad), FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_another_fit_token_is_waited_for(void) {
  tc_token bad = issued("bad", "r1", 600), newer = issued("newer", "r2", 1);
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(newer));
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_refused_token_is_renewed(void) {
  tc_token bad = issued("bad", "r1", 600);
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_renewing(&bad, refusing("bad"));
  RENEWS("r1");
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

static void test_a_refused_token_without_a_user_is_replaced(void) {
  tc_token bad = fixture_token("bad", 3000);
  tc_token_response answer = fixture_answer("new");
  bad.expires_in = 3600;
  begin(refusing("bad"));
  LOAD_LOCK_LOAD(FOUND(bad), FOUND(bad));
  STEP(REQUEST, ANSWERED(answer));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_refused_token_calls_for_a_login_where_it_cannot_be_renewed(void) {
  tc_token bad = issued("bad", "", 600);
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  IS_AT(AUTHORIZE);
  end();
}

/* Its refresh token is not ours to spend. */
static void test_a_refused_token_of_another_client_is_not_renewed(void) {
  tc_token foreign = issued("bad", "r1", 600);
  foreign.client_id = TC_STR("another");
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(foreign));
  IS_AT(AUTHORIZE);
  end();
}

static void check_just_issued(int age, bool denied) {
  tc_token bad = issued("bad", "r1", age);
  begin_user(refusing("bad"));
  LOAD_LOCK_LOAD(FOUND(bad), FOUND(bad));
  if (denied) {
    STEP(UNLOCK, OK);
    FAILS(TC_ERR_DENIED);
  } else {
    IS_AT(PROBE);
  }
  end();
}

/* A permanent 401 must not become a loop. */
static void test_a_token_just_issued_is_not_renewed_again(void) {
  check_just_issued(0, true);
  check_just_issued(4, true);
  check_just_issued(5, false);
  check_just_issued(6, false);
  check_just_issued(-4, true); /* clocks differ */
  check_just_issued(-5, false);
}

static void test_a_token_just_issued_to_a_flow_without_users(void) {
  tc_token bad = fixture_token("bad", 3599);
  bad.expires_in = 3600;
  begin(refusing("bad"));
  LOAD_LOCK_LOAD(FOUND(bad), FOUND(bad));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_DENIED);
  end();
}

/* The provider's session may send the user back at once, to the next 401. */
static void test_a_login_just_done_is_not_asked_for_again(void) {
  tc_token bad = issued("bad", "", 1);
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  FAILS(TC_ERR_DENIED);
  end();
  begin_as(fixture_public_client("implicit"), refusing("bad"));
  STEP(LOAD, FOUND(bad));
  FAILS(TC_ERR_DENIED);
  end();
}

static void test_a_token_of_unknown_age_is_not_taken_for_new(void) {
  tc_token bad = issued("bad", "r1", 0), endless = issued("bad", "r1", 0);
  bad.expires_in = TC_TIME_UNKNOWN;
  endless.expires_at = TC_TIME_UNKNOWN;
  begin_renewing(&bad, refusing("bad"));
  end();
  begin_renewing(&endless, refusing("bad"));
  end();
}

static void test_the_age_of_another_token_does_not_matter(void) {
  tc_token other = issued("other", "r1", 1);
  other.expires_at = (int64_t)NOW - 5; /* though it has expired */
  other.expires_in = -6;
  begin_renewing(&other, refusing("bad"));
  end();
}

static void test_the_same_token_again_is_saved_and_denied(void) {
  tc_token bad = issued("bad", "r1", 600);
  tc_token_response answer = fixture_login_answer("bad", "r2");
  begin_renewing(&bad, refusing("bad"));
  STEP(REQUEST, ANSWERED(answer));
  IS_AT(SAVE);
  CHECK(!scene.engine.request.rotated);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_DENIED);
  CHECK(strstr(scene.engine.error.message, "bad") == NULL);
  end();
}

static void test_the_same_token_again_from_a_login(void) {
  tc_token_response answer = fixture_answer("bad");
  begin_as(fixture_public_client("implicit"), refusing("bad"));
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, ANSWERED(answer));
  STEP(LOCK, OK);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_DENIED);
  end();
}

/* An expiring token bridges passing failures; a refused one is worth nothing. */
static void check_not_bridged(int left) {
  tc_token bad = fixture_login("bad", "r1", left);
  tc_token_response away = fixture_status(500);
  tc_error gone = an_error(TC_ERR_CACHE);
  begin_renewing(&bad, refusing("bad"));
  STEP(REQUEST, ANSWERED(away));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_UNAVAILABLE);
  end();
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_CACHE);
  end();
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  STEP(LOCK, BROKE(gone));
  FAILS(TC_ERR_CACHE);
  end();
  begin_user(refusing("bad"));
  LOAD_LOCK_LOAD(FOUND(bad), FOUND(bad));
  STEP(PROBE, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end();
  begin_user(refusing("bad"));
  STEP(LOAD, FOUND(bad));
  STEP(LOCK, BUSY);
  IS_AT(SLEEP);
  end();
}

static void test_a_refused_token_never_serves_however_much_is_left(void) {
  check_not_bridged(5);
  check_not_bridged(3600);
}

static void test_another_token_with_seconds_left_serves(void) {
  tc_token other = fixture_login("other", "r1", 5);
  tc_token_response away = fixture_status(500);
  begin_renewing(&other, refusing("bad"));
  STEP(REQUEST, ANSWERED(away));
  STEP(UNLOCK, OK);
  RETURNS("other", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_UNAVAILABLE);
  end();
}

/* The dead login was replaced, but by one with the token that is refused. */
static void test_a_refused_token_that_replaced_the_dead_one_is_renewed(void) {
  tc_token cached = fixture_login("old", "r1", -5), bad = issued("bad", "r2", 600),
           fresh = issued("bad", "r2", 1);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_renewing(&cached, refusing("bad"));
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(bad));
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
  begin_renewing(&cached, refusing("bad"));
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(fresh));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_DENIED);
  end();
}

int main(void) {
  RUN(test_another_fit_token_is_returned_without_a_lock);
  RUN(test_another_fit_token_is_returned_under_the_lock);
  RUN(test_another_fit_token_is_waited_for);
  RUN(test_a_refused_token_is_renewed);
  RUN(test_a_refused_token_without_a_user_is_replaced);
  RUN(test_a_refused_token_calls_for_a_login_where_it_cannot_be_renewed);
  RUN(test_a_refused_token_of_another_client_is_not_renewed);
  RUN(test_a_token_just_issued_is_not_renewed_again);
  RUN(test_a_token_just_issued_to_a_flow_without_users);
  RUN(test_a_login_just_done_is_not_asked_for_again);
  RUN(test_a_token_of_unknown_age_is_not_taken_for_new);
  RUN(test_the_age_of_another_token_does_not_matter);
  RUN(test_the_same_token_again_is_saved_and_denied);
  RUN(test_the_same_token_again_from_a_login);
  RUN(test_a_refused_token_never_serves_however_much_is_left);
  RUN(test_another_token_with_seconds_left_serves);
  RUN(test_a_refused_token_that_replaced_the_dead_one_is_renewed);
  return done();
}
