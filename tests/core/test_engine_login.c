/* Logins: the user is asked, and what that brings is exchanged and saved. */
#include "scene.h"

static void test_a_login_by_code(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  tc_result logged_in = LOGGED_IN;
  logged_in.credential.code_verifier = TC_STR("v");
  begin_as(fixture_public_client("pkce"), PLAIN);
  STEP(LOAD, NONE);
  pass(200); /* longer than the run's own time */
  STEP(AUTHORIZE, logged_in);
  CHECK_NUM(scene.engine.seconds, TIMEOUT + 5);
  STEP(LOCK, OK);
  SENDS("grant_type=authorization_code&code=the+code&redirect_uri=http%3A%2F%2F127.0.0.1%2F"
        "&code_verifier=v");
  CHECK_NUM(tc_engine_time_left(&scene.engine), TIMEOUT);
  CHECK_NUM(scene.engine.request.renewed, TC_FROM_NOWHERE);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(scene.engine.best.token.authorized_at, NOW + 200);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r1"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_login_that_has_taken_place(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  begin_as(fixture_public_client("authorization_code"), (tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, FAILED);
  SENDS("grant_type=authorization_code&code=the+code&redirect_uri=http%3A%2F%2F127.0.0.1%2F"
        "");
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_new_login_is_dated(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  begin_user(PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, FAILED);
  pass(3.5);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(scene.engine.best.token.authorized_at, NOW + 3);
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r1"));
  end();
}

/* Two logins wanted the same port; the first one has ended. */
static void test_what_another_login_brought_is_looked_for(void) {
  tc_token brought = fixture_token("brought", 3600);
  begin_user(PLAIN);
  STEP(LOAD, NONE);
  pass(200);
  STEP(AUTHORIZE, NONE);
  CHECK_NUM(tc_engine_time_left(&scene.engine), TIMEOUT);
  STEP(LOAD, FOUND(brought));
  RETURNS("brought", TC_FROM_CACHE);
  end();

  begin_user(PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, NONE);
  STEP(LOAD, NONE);
  IS_AT(AUTHORIZE);
  end();
}

/* A code spends nothing that the cache holds, and to lose the login would be worse. */
static void test_a_login_needs_neither_lock_nor_probe(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  tc_error owed = an_error(TC_ERR_CACHE);
  tc_result failures[] = {FAILED, BROKE(owed)};
  for (size_t i = 0; i < 2; i++) {
    begin_user(PLAIN);
    STEP(LOAD, NONE);
    STEP(AUTHORIZE, LOGGED_IN);
    STEP(LOCK, failures[i]);
    STEP(REQUEST, ANSWERED(fresh));
    STEP(SAVE, FAILED);
    RETURNS("new", TC_FROM_ANSWER);
    CHECK_NUM(scene.engine.error.number, 0);
    end();
  }
}

static void check_code(tc_result first, tc_result second, bool unused) {
  begin_user((tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, FAILED);
  STEP(REQUEST, first);
  STEP(SLEEP, OK);
  STEP(REQUEST, second);
  if (scene.action == TC_ACTION_SLEEP) {
    pass(TIMEOUT);
    STEP(SLEEP, OK);
  }
  IS_AT(FAIL);
  CHECK(tc_engine_code_is_unused(&scene.engine) == unused);
  end();
}

static void test_a_code_counts_as_used_once_the_server_may_have_seen_it(void) {
  tc_token_response busy = fixture_refusal(503, ""), broken = fixture_refusal(500, ""),
                    refused = fixture_refusal(400, "invalid_grant");
  tc_error away = an_error(TC_ERR_CONNECT);
  tc_result unavailable = ANSWERED(busy);
  check_code(UNSENT(away), UNSENT(away), true);
  check_code(UNSENT(away), unavailable, true);
  check_code(unavailable, BROKE(away), false);
  check_code(unavailable, ANSWERED(broken), false);
  check_code(UNSENT(away), ANSWERED(refused), false);
}

static void test_a_code_that_is_refused_removes_nothing(void) {
  tc_token_response refused = fixture_refusal(400, "invalid_grant");
  begin_user(PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(refused));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_a_refused_code_verifies_nothing(void) {
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_user(PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(dead));
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_a_login_given_up(void) {
  tc_error given_up = an_error(TC_ERR_DENIED);
  begin_user(PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, BROKE(given_up));
  FAILS(TC_ERR_DENIED);
  end();
}

static void test_an_implicit_login_brings_the_token(void) {
  tc_token_response fresh = fixture_answer("new");
  tc_token expired = fixture_login("old", "r1", -1);
  begin_as(fixture_public_client("implicit"), PLAIN);
  STEP(LOAD, FOUND(expired));
  STEP(AUTHORIZE, ANSWERED(fresh));
  CHECK_NUM(scene.engine.best.token.authorized_at, NOW);
  STEP(LOCK, OK);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_login_by_device_brings_the_token_to_any_flow(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  const char *const flows[] = {"device", "pkce"};
  for (size_t i = 0; i < 2; i++) {
    begin_as(fixture_public_client(flows[i]), PLAIN);
    STEP(LOAD, NONE);
    STEP(AUTHORIZE, ANSWERED(fresh));
    STEP(LOCK, OK);
    STEP(SAVE, OK);
    STEP(UNLOCK, OK);
    RETURNS("new", TC_FROM_ANSWER);
    CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r1"));
    end();
  }
}

static void test_a_refused_login_repeats_no_secret_of_its_request(void) {
  tc_token_response refused = fixture_refusal(400, "expired_token");
  refused.error_description = text_value("the code Gm-device-1 is over");
  tc_result result = ANSWERED(refused);
  result.sent = TC_STR("grant_type=any&device_code=Gm-device-1");
  begin_as(fixture_public_client("device"), PLAIN);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, result);
  FAILS(TC_ERR_TIMEOUT);
  CHECK(strstr(scene.engine.error.message, "Gm-device-1") == NULL);
  CHECK(strstr(scene.engine.error.message, "start the login again") != NULL);
  end();
}

static void test_an_implicit_login_cannot_be_renewed(void) {
  tc_token given = fixture_login("old", "r1", 0);
  begin_as(fixture_public_client("implicit"), (tc_engine_options){.given = &given});
  STEP(LOAD, NONE);
  IS_AT(AUTHORIZE);
  end();
}

/* A login has taken place and another holds the lock. */
static void begin_waiting(const char *flow, tc_result brought) {
  begin_as(fixture_public_client(flow), (tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, brought);
  STEP(LOCK, BUSY);
}

static void test_a_login_waits_for_a_renewal_of_the_former_one(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  begin_waiting("pkce", LOGGED_IN);
  STEP(SLEEP, OK);
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();

  begin_waiting("implicit", ANSWERED(fresh));
  STEP(SLEEP, OK);
  STEP(LOCK, OK);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

static void test_a_lock_that_stays_busy_does_not_cost_the_login(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  tc_result brought[] = {LOGGED_IN, ANSWERED(fresh)};
  const char *const flows[] = {"pkce", "implicit"};
  for (size_t i = 0; i < 2; i++) {
    begin_waiting(flows[i], brought[i]);
    while (scene.action == TC_ACTION_SLEEP) {
      STEP(SLEEP, OK);
      STEP(LOCK, BUSY);
    }
    CHECK(seconds_passed() > TIMEOUT / 2 - 1e-6 && seconds_passed() < TIMEOUT / 2 + 1e-6);
    if (i == 0) STEP(REQUEST, ANSWERED(fresh));
    STEP(SAVE, OK);
    RETURNS("new", TC_FROM_ANSWER);
    end();
  }
}

static void test_a_login_that_may_not_wait_goes_on_without_the_lock(void) {
  tc_token_response fresh = fixture_login_answer("new", "r1");
  tc_error not_here = an_error(TC_ERR_CONFIG);
  tc_result brought[] = {LOGGED_IN, ANSWERED(fresh)};
  const char *const flows[] = {"pkce", "implicit"};
  for (size_t i = 0; i < 2; i++) {
    begin_waiting(flows[i], brought[i]);
    STEP(SLEEP, BROKE(not_here));
    STEP(LOCK, BUSY);
    if (i == 0) STEP(REQUEST, ANSWERED(fresh));
    STEP(SAVE, OK);
    RETURNS("new", TC_FROM_ANSWER);
    end();
  }
}

static void test_a_login_that_fails_does_not_bring_back_the_former_one(void) {
  tc_token expiring = fixture_login("old", "", 30);
  tc_token_response down = fixture_status(500);
  begin_user(PLAIN);
  STEP(LOAD, FOUND(expiring));
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(down));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_UNAVAILABLE);
  end();
}

/* A job in the middle of the night must not open a browser because another found the login dead. */
static void test_who_waited_for_a_login_that_is_gone_is_not_asked_to_log_in(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_user(PLAIN);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, BUSY);
  STEP(SLEEP, OK);
  STEP(LOAD, NONE);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_who_gets_the_lock_of_a_login_that_is_gone_is_not_asked_to_log_in(void) {
  tc_token expired = fixture_login("old", "r1", -1);
  begin_user(PLAIN);
  LOAD_LOCK_LOAD(FOUND(expired), NONE);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

int main(void) {
  RUN(test_a_login_by_code);
  RUN(test_a_login_that_has_taken_place);
  RUN(test_a_new_login_is_dated);
  RUN(test_what_another_login_brought_is_looked_for);
  RUN(test_a_login_needs_neither_lock_nor_probe);
  RUN(test_a_code_counts_as_used_once_the_server_may_have_seen_it);
  RUN(test_a_code_that_is_refused_removes_nothing);
  RUN(test_a_refused_code_verifies_nothing);
  RUN(test_a_login_given_up);
  RUN(test_an_implicit_login_brings_the_token);
  RUN(test_a_login_by_device_brings_the_token_to_any_flow);
  RUN(test_a_refused_login_repeats_no_secret_of_its_request);
  RUN(test_an_implicit_login_cannot_be_renewed);
  RUN(test_a_login_waits_for_a_renewal_of_the_former_one);
  RUN(test_a_lock_that_stays_busy_does_not_cost_the_login);
  RUN(test_a_login_that_may_not_wait_goes_on_without_the_lock);
  RUN(test_a_login_that_fails_does_not_bring_back_the_former_one);
  RUN(test_who_waited_for_a_login_that_is_gone_is_not_asked_to_log_in);
  RUN(test_who_gets_the_lock_of_a_login_that_is_gone_is_not_asked_to_log_in);
  return done();
}
