/* Runs of the flows that have a user: login, renewal, and what ends a login. */
#include "scene.h"

static void test_a_login_by_code(void) {
  scene s;
  tc_token_response fresh = answer("new", "r1");
  tc_credential credential = {.code = TC_STR("c"),
                              .redirect_uri = TC_STR("http://127.0.0.1/"),
                              .code_verifier = TC_STR("v")};
  begin(&s, plain);
  STEP(LOAD, NONE);
  s.time = 200; /* longer than the run's own time */
  STEP(AUTHORIZE, OK, .credential = credential);
  CHECK_NUM(s.engine.seconds, TIMEOUT + 5);
  STEP(LOCK, OK);
  BODY("grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2F127.0.0.1%2F"
       "&code_verifier=v&client_id=client");
  CHECK_NUM(tc_engine_time_left(&s.engine), TIMEOUT);
  CHECK_NUM(s.engine.renewed, TC_FROM_NOWHERE);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(s.engine.token.authorized_at, NOW + 200);
  CHECK_STR(s.engine.token.refresh_token, TC_STR("r1"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void test_a_login_that_has_taken_place(void) {
  scene s;
  tc_token_response fresh = answer("new", "r1");
  tc_credential credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")};
  begin(&s, (tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, OK, .credential = credential);
  STEP(LOCK, FAILED);
  BODY("grant_type=authorization_code&code=c&redirect_uri=u&client_id=client");
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void check_code(tc_result first, tc_result second, bool unused) {
  scene s;
  begin(&s, (tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, OK, .credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")});
  STEP(LOCK, FAILED);
  step(&s, TC_ACTION_REQUEST, first, __FILE__, __LINE__);
  STEP(SLEEP, OK);
  step(&s, TC_ACTION_REQUEST, second, __FILE__, __LINE__);
  if (s.action == TC_ACTION_SLEEP) {
    s.time = TIMEOUT;
    STEP(SLEEP, OK);
  }
  IS_AT(FAIL);
  CHECK(tc_engine_code_is_unused(&s.engine) == unused);
  end(&s);
}

static void test_a_code_counts_as_used_once_the_server_may_have_seen_it(void) {
  tc_token_response busy = refusal(503, ""), broken = refusal(500, ""),
                    refused = refusal(400, "invalid_grant");
  tc_error away = TC_ERROR_NONE;
  (void)tc_error_set(&away, TC_ERR_CONNECT, NULL);
  tc_result no_connection = {BROKE(away), .unsent = true}, lost = {BROKE(away)};
  tc_result unavailable = {ANSWERED(busy)}, failing = {ANSWERED(broken)},
            dead = {ANSWERED(refused)};
  check_code(no_connection, no_connection, true);
  check_code(no_connection, unavailable, true);
  check_code(unavailable, lost, false);
  check_code(unavailable, failing, false);
  check_code(no_connection, dead, false);
}

static void test_a_code_that_is_refused_removes_nothing(void) {
  scene s;
  tc_token_response refused = refusal(400, "invalid_grant");
  tc_credential credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")};
  begin(&s, plain);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, OK, .credential = credential);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(refused));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);
}

static void test_a_login_given_up(void) {
  scene s;
  tc_error err = TC_ERROR_NONE;
  (void)tc_error_set(&err, TC_ERR_DENIED, NULL);
  begin(&s, plain);
  STEP(LOAD, NONE);
  STEP(AUTHORIZE, BROKE(err));
  FAILS(TC_ERR_DENIED);
  end(&s);
}

static void test_an_implicit_login_brings_the_token(void) {
  scene s;
  tc_token_response fresh = answer("new", NULL);
  tc_token expired = login("old", "r1", -1);
  begin_as(&s, new_client("implicit", false), plain);
  STEP(LOAD, FOUND(expired));
  STEP(AUTHORIZE, ANSWERED(fresh));
  CHECK_NUM(s.engine.token.authorized_at, NOW);
  STEP(LOCK, OK);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

/* A login has taken place and another holds the lock: what the run asks for until it goes on. */
static void begin_waiting(scene *s, tc_client client, tc_result brought) {
  begin_as(s, client, (tc_engine_options){.authorized = true});
  step(s, TC_ACTION_AUTHORIZE, brought, __FILE__, __LINE__);
  step(s, TC_ACTION_LOCK, (tc_result){NONE}, __FILE__, __LINE__);
}

static void test_a_login_waits_for_a_renewal_of_the_former_one(void) {
  scene s;
  tc_token_response fresh = answer("new", "r1");
  tc_credential credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")};
  begin_waiting(&s, new_client("pkce", false), (tc_result){OK, .credential = credential});
  STEP(SLEEP, OK);
  STEP(LOCK, NONE);
  STEP(SLEEP, OK);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);

  begin_waiting(&s, new_client("implicit", false), (tc_result){ANSWERED(fresh)});
  STEP(SLEEP, OK);
  STEP(LOCK, OK);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void test_a_lock_that_stays_busy_does_not_cost_the_login(void) {
  scene s;
  tc_token_response fresh = answer("new", "r1");
  tc_credential credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")};
  tc_result brought[] = {{OK, .credential = credential}, {ANSWERED(fresh)}};
  const char *const flows[] = {"pkce", "implicit"};
  for (size_t i = 0; i < 2; i++) {
    begin_waiting(&s, new_client(flows[i], false), brought[i]);
    while (s.action == TC_ACTION_SLEEP) {
      STEP(SLEEP, OK);
      STEP(LOCK, NONE);
    }
    CHECK(s.time > TIMEOUT / 2 - 1e-6 && s.time < TIMEOUT / 2 + 1e-6);
    if (i == 0) STEP(REQUEST, ANSWERED(fresh));
    STEP(SAVE, OK);
    RETURNS("new", TC_FROM_ANSWER);
    end(&s);
  }
}

static void test_a_login_that_fails_does_not_bring_back_the_former_one(void) {
  scene s;
  tc_token expiring = login("old", "", 30);
  tc_token_response down = {.status = 500, .retry_after = -1};
  tc_credential credential = {.code = TC_STR("c"), .redirect_uri = TC_STR("u")};
  begin(&s, plain);
  STEP(LOAD, FOUND(expiring));
  STEP(AUTHORIZE, OK, .credential = credential);
  STEP(LOCK, OK);
  STEP(REQUEST, ANSWERED(down));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_UNAVAILABLE);
  end(&s);
}

static void test_an_implicit_login_cannot_be_renewed(void) {
  scene s;
  tc_token given = login("old", "r1", 0);
  begin_as(&s, new_client("implicit", false), (tc_engine_options){.given = &given});
  STEP(LOAD, NONE);
  IS_AT(AUTHORIZE);
  end(&s);
}

static void test_a_renewal_under_the_lock(void) {
  scene s;
  tc_token expired = login("old", "r1", 59);
  tc_token_response fresh = answer("new", "r2");
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(expired));
  REFRESH_BODY("r1");
  CHECK_NUM(s.engine.renewed, TC_FROM_CACHE);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_STR(s.engine.token.refresh_token, TC_STR("r2"));
  CHECK_STR(s.engine.token.scope, TC_STR("a"));
  CHECK_NUM(s.engine.token.authorized_at, LOGGED_IN);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  CHECK(!s.engine.unsaved);
  end(&s);
}

static void test_an_answer_without_a_refresh_token_keeps_the_old(void) {
  static const char *const none[] = {NULL, ""};
  for (size_t i = 0; i < 2; i++) {
    scene s;
    tc_token expired = login("old", "r1", -1);
    tc_token_response fresh = answer("new", none[i]);
    begin(&s, plain);
    STEP(LOAD, FOUND(expired));
    STEP(LOCK, FAILED);
    STEP(REQUEST, ANSWERED(fresh));
    CHECK_STR(s.engine.token.refresh_token, TC_STR("r1"));
    STEP(SAVE, OK);
    RETURNS("new", TC_FROM_ANSWER);
    end(&s);
  }
}

static void test_another_renewed_it_before_the_lock(void) {
  scene s;
  tc_token expired = login("old", "r1", -1), newer = login("newer", "r2", 3600);
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end(&s);
}

static void test_another_found_it_dead_before_the_lock(void) {
  scene s;
  tc_token expired = login("old", "r1", -1);
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, OK);
  STEP(LOAD, NONE);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);
}

static void test_a_cache_away_is_no_reason_to_log_in(void) {
  scene s;
  tc_token expired = login("old", "r1", -1);
  begin(&s, plain);
  STEP(LOAD, FAILED);
  FAILS(TC_ERR_CACHE);
  end(&s);
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, OK);
  STEP(LOAD, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end(&s);
}

static void test_a_dead_token_is_removed_where_it_still_is(void) {
  scene s;
  tc_token expired = login("old", "r1", -1);
  tc_token_response dead = refusal(400, "invalid_grant");
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(expired));
  STEP(REQUEST, ANSWERED(dead));
  STEP(LOAD, FOUND(expired));
  STEP(REMOVE, OK);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);
}

static void test_a_dead_token_stays_where_that_was_asked_for(void) {
  scene s;
  tc_token expired = login("old", "r1", -1);
  tc_token_response dead = refusal(400, "invalid_grant");
  begin_as(&s, new_client("pkce", true), plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(expired));
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);
}

/* What the cache may hold after the server called r1 dead, and what the run does then. */
static void dead_then(tc_result found, tc_action then) {
  scene s;
  tc_token expired = login("old", "r1", -1);
  tc_token_response dead = refusal(400, "invalid_grant");
  begin(&s, plain);
  STEP(LOAD, FOUND(expired));
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  step(&s, TC_ACTION_LOAD, found, __FILE__, __LINE__);
  is_at(&s, then, __FILE__, __LINE__);
  if (then == TC_ACTION_FAIL) CHECK_NUM(s.engine.error.number, TC_ERR_REAUTHORIZE);
  if (then != TC_ACTION_FAIL) CHECK_NUM(s.engine.error.number, 0);
  end(&s);
}

static void test_what_replaced_a_dead_token_counts(void) {
  tc_token newer = login("newer", "r2", 3600), stale = login("stale", "r2", -1);
  tc_token other = login("other", "r2", 3600), bare = login("bare", "", -1);
  other.client_id = TC_STR("another");
  dead_then((tc_result){FOUND(newer)}, TC_ACTION_RETURN);
  dead_then((tc_result){FOUND(stale)}, TC_ACTION_REQUEST);
  dead_then((tc_result){FOUND(other)}, TC_ACTION_FAIL);
  dead_then((tc_result){FOUND(bare)}, TC_ACTION_FAIL);
  dead_then((tc_result){NONE}, TC_ACTION_FAIL);
  dead_then((tc_result){FAILED}, TC_ACTION_FAIL);
}

static void test_dead_tokens_are_not_chased_for_ever(void) {
  scene s;
  tc_token t1 = login("t1", "r1", -1), t2 = login("t2", "r2", -1), t3 = login("t3", "r3", -1),
           t4 = login("t4", "r4", -1);
  tc_token_response dead = refusal(400, "invalid_grant");
  begin(&s, plain);
  STEP(LOAD, FOUND(t1));
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(t2));
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(t3));
  REFRESH_BODY("r3");
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(t4));
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);
}

static void test_a_server_in_trouble_is_not_believed(void) {
  static const int statuses[] = {429, 500, 503};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    scene s;
    tc_token expired = login("old", "r1", -1);
    tc_token_response dead = refusal(statuses[i], "invalid_grant");
    begin(&s, plain);
    STEP(LOAD, FOUND(expired));
    STEP(LOCK, FAILED);
    STEP(REQUEST, ANSWERED(dead));
    while (s.action == TC_ACTION_SLEEP) {
      STEP(SLEEP, OK);
      STEP(REQUEST, ANSWERED(dead));
    }
    FAILS(TC_ERR_UNAVAILABLE);
    end(&s);
  }
}

static void test_the_last_minute_bridges_a_passing_failure(void) {
  scene s;
  tc_token expiring = login("old", "r1", 30);
  tc_token_response down = {.status = 500, .retry_after = -1};
  begin(&s, plain);
  STEP(LOAD, FOUND(expiring));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(expiring));
  STEP(REQUEST, ANSWERED(down));
  STEP(UNLOCK, OK);
  RETURNS("old", TC_FROM_CACHE);
  CHECK_NUM(s.engine.error.number, TC_ERR_UNAVAILABLE);
  end(&s);
}

int main(void) {
  RUN(test_a_login_by_code);
  RUN(test_a_login_that_has_taken_place);
  RUN(test_a_code_counts_as_used_once_the_server_may_have_seen_it);
  RUN(test_a_code_that_is_refused_removes_nothing);
  RUN(test_a_login_given_up);
  RUN(test_an_implicit_login_brings_the_token);
  RUN(test_a_login_waits_for_a_renewal_of_the_former_one);
  RUN(test_a_lock_that_stays_busy_does_not_cost_the_login);
  RUN(test_a_login_that_fails_does_not_bring_back_the_former_one);
  RUN(test_an_implicit_login_cannot_be_renewed);
  RUN(test_a_renewal_under_the_lock);
  RUN(test_an_answer_without_a_refresh_token_keeps_the_old);
  RUN(test_another_renewed_it_before_the_lock);
  RUN(test_another_found_it_dead_before_the_lock);
  RUN(test_a_cache_away_is_no_reason_to_log_in);
  RUN(test_a_dead_token_is_removed_where_it_still_is);
  RUN(test_a_dead_token_stays_where_that_was_asked_for);
  RUN(test_what_replaced_a_dead_token_counts);
  RUN(test_dead_tokens_are_not_chased_for_ever);
  RUN(test_a_server_in_trouble_is_not_believed);
  RUN(test_the_last_minute_bridges_a_passing_failure);
  return done();
}
