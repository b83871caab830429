/* What follows when the server says that it does not know the refresh token. */
#include "scene.h"

/* The server refuses the refresh token "r1"; the look whether it is still cached brings `found`. */
static void begin_dead(tc_engine_options options, tc_result found) {
  tc_token cached = fixture_login("old", "r1", options.forced ? 3600 : 5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_renewing(&cached, options);
  CHECK(!tc_engine_token_is_dead(&scene.engine));
  STEP(REQUEST, ANSWERED(dead));
  CHECK(scene.engine.seconds == 0.5); /* not every program that saves there heeds the lock */
  STEP(SLEEP, OK);
  CHECK(tc_engine_token_is_dead(&scene.engine));
  STEP(LOAD, found);
  CHECK(!tc_engine_token_is_dead(&scene.engine));
}

/* The same where the cache has no lock: another may be about to save what it got for "r1". */
static void begin_spent(tc_client client) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_as(client, BARE);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  STEP(REQUEST, ANSWERED(dead));
  CHECK(scene.engine.seconds == 0.5);
}

static tc_client a_client(bool keeps_dead) {
  tc_client_config config = fixture_config();
  config.keeps_dead = keeps_dead;
  return fixture_user_client(&config);
}

static void test_a_dead_login_is_removed(void) {
  tc_token still = fixture_login("old", "r1", 5);
  begin_dead(PLAIN, FOUND(still));
  STEP(REMOVE, OK);
  CHECK(!tc_token_exists(&scene.engine.best.token));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  CHECK_TEXT(scene.engine.error.code, "invalid_grant");
  end();
}

static void test_a_dead_login_that_cannot_be_removed(void) {
  tc_token still = fixture_login("old", "r1", 5);
  begin_dead(PLAIN, FOUND(still));
  STEP(REMOVE, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_a_dead_login_stays_where_that_was_asked_for(void) {
  tc_token still = fixture_login("old", "r1", -5);
  begin_spent(a_client(true));
  CHECK(!tc_engine_token_is_dead(&scene.engine));
  STEP(SLEEP, OK);
  CHECK(!tc_engine_token_is_dead(&scene.engine));
  STEP(LOAD, FOUND(still));
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_a_login_replaced_meanwhile_is_used(void) {
  tc_token newer = fixture_login("newer", "r2", 3600);
  begin_dead(PLAIN, FOUND(newer));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

static void test_a_login_replaced_meanwhile_is_renewed_if_it_must_be(void) {
  tc_token newer = fixture_login("newer", "r2", -5), fit = fixture_login("newer", "r2", 3600);
  begin_dead(PLAIN, FOUND(newer));
  CHECK_NUM(scene.engine.error.number, 0);
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
  begin_dead(FORCED, FOUND(fit));
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
}

static void test_a_cache_that_keeps_changing_costs_three_requests(void) {
  tc_token second = fixture_login("t2", "r2", -5), third = fixture_login("t3", "r3", -5),
           fourth = fixture_login("t4", "r4", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_dead(PLAIN, FOUND(second));
  STEP(PROBE, OK);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(third));
  STEP(PROBE, OK);
  RENEWS("r3");
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(fourth));
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

/* What replaced the dead token neither helps nor is dead itself: it stays. */
static void check_left_alone(tc_result found) {
  begin_dead(PLAIN, found);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_only_the_dead_token_is_removed(void) {
  tc_token foreign = fixture_login("foreign", "r9", 3600), expired = fixture_token("expired", -5);
  foreign.client_id = TC_STR("another");
  check_left_alone(FOUND(foreign));
  check_left_alone(FOUND(expired));
  check_left_alone(NONE);
  check_left_alone(FAILED);
}

static void test_a_fit_token_without_a_refresh_token_may_replace_the_dead_one(void) {
  tc_token fit = fixture_token("fit", 3600);
  begin_dead(PLAIN, FOUND(fit));
  STEP(UNLOCK, OK);
  RETURNS("fit", TC_FROM_CACHE);
  end();
}

static void test_without_a_lock_the_winner_is_given_time_to_save(void) {
  tc_token newer = fixture_login("newer", "r2", 3600);
  begin_spent(a_client(false));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(newer));
  RETURNS("newer", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, 0);
  end();
}

static void test_without_a_lock_what_replaced_the_dead_token_is_renewed(void) {
  tc_token stale = fixture_login("stale", "r2", -1);
  begin_spent(a_client(false));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(stale));
  CHECK_NUM(scene.engine.error.number, 0);
  STEP(PROBE, OK);
  RENEWS("r2");
  end();
}

static void test_without_a_lock_only_the_dead_token_is_removed(void) {
  tc_token other = fixture_login("other", "r2", 3600), bare = fixture_login("bare", "", -1);
  other.client_id = TC_STR("another");
  tc_result found[] = {FOUND(other), FOUND(bare), NONE, FAILED};
  for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
    begin_spent(a_client(false));
    STEP(SLEEP, OK);
    STEP(LOAD, found[i]);
    FAILS(TC_ERR_REAUTHORIZE);
    end();
  }
}

static void test_where_one_may_not_wait_the_cache_is_looked_at_once(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_error not_here = an_error(TC_ERR_NETWORK);
  begin_spent(a_client(false));
  STEP(SLEEP, BROKE(not_here));
  STEP(LOAD, FOUND(cached));
  STEP(REMOVE, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_after_the_deadline_nobody_is_given_time(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_user((tc_engine_options){.lockless = true, .request_time = 40});
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  pass(45);
  STEP(REQUEST, ANSWERED(dead));
  STEP(LOAD, FOUND(cached));
  STEP(REMOVE, OK);
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void check_login_survives(tc_result result, int number) {
  tc_token cached = fixture_login("old", "r1", -5);
  begin_renewing(&cached, PLAIN);
  STEP(REQUEST, result);
  STEP(UNLOCK, OK);
  FAILS(number);
  end();
}

static void test_other_failures_never_throw_a_login_away(void) {
  tc_error untrusted = an_error(TC_ERR_TLS);
  tc_token_response trouble = fixture_refusal(500, "invalid_grant"), away = fixture_status(500),
                    refused = fixture_refusal(401, "invalid_client"), html = fixture_status(200);
  check_login_survives(BROKE(untrusted), TC_ERR_TLS);
  check_login_survives(ANSWERED(trouble), TC_ERR_UNAVAILABLE);
  check_login_survives(ANSWERED(away), TC_ERR_UNAVAILABLE);
  check_login_survives(ANSWERED(refused), TC_ERR_CONFIG);
  check_login_survives(ANSWERED(html), TC_ERR_PROTOCOL);
}

static void test_a_server_in_trouble_is_not_believed(void) {
  static const int statuses[] = {429, 500, 503};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    tc_token expired = fixture_login("old", "r1", -1);
    tc_token_response dead = fixture_refusal(statuses[i], "invalid_grant");
    begin_user(BARE);
    STEP(LOAD, FOUND(expired));
    STEP(PROBE, OK);
    STEP(REQUEST, ANSWERED(dead));
    while (scene.action == TC_ACTION_SLEEP) {
      STEP(SLEEP, OK);
      STEP(REQUEST, ANSWERED(dead));
    }
    FAILS(TC_ERR_UNAVAILABLE);
    end();
  }
}

int main(void) {
  RUN(test_a_dead_login_is_removed);
  RUN(test_a_dead_login_that_cannot_be_removed);
  RUN(test_a_dead_login_stays_where_that_was_asked_for);
  RUN(test_a_login_replaced_meanwhile_is_used);
  RUN(test_a_login_replaced_meanwhile_is_renewed_if_it_must_be);
  RUN(test_a_cache_that_keeps_changing_costs_three_requests);
  RUN(test_only_the_dead_token_is_removed);
  RUN(test_a_fit_token_without_a_refresh_token_may_replace_the_dead_one);
  RUN(test_without_a_lock_the_winner_is_given_time_to_save);
  RUN(test_without_a_lock_what_replaced_the_dead_token_is_renewed);
  RUN(test_without_a_lock_only_the_dead_token_is_removed);
  RUN(test_where_one_may_not_wait_the_cache_is_looked_at_once);
  RUN(test_after_the_deadline_nobody_is_given_time);
  RUN(test_other_failures_never_throw_a_login_away);
  RUN(test_a_server_in_trouble_is_not_believed);
  return done();
}
