/* Runs about a token that the caller gives, whatever login the cache holds. */
#include "scene.h"

static void test_a_given_refresh_token_in_the_cache(void) {
  tc_token cached = fixture_login("old", "r1", 3600), given = fixture_login("", "r1", 0);
  tc_token_response fresh = fixture_login_answer("new", "r2");
  begin_renewing(&cached, (tc_engine_options){.given = &given, .forced = true});
  CHECK_NUM(scene.engine.request.renewed, TC_FROM_CACHE);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(scene.engine.best.token.authorized_at, LOGIN_TIME);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

/* Nobody refuses what is not there. */
static void test_a_given_refresh_token_alone_is_renewed_however_new(void) {
  tc_token given = fixture_login("", "r1", 3600);
  given.expires_in = 3600;
  begin_user((tc_engine_options){.given = &given, .forced = true});
  LOAD_LOCK_LOAD(NONE, NONE);
  STEP(PROBE, OK);
  RENEWS("r1");
  end();
}

static tc_token of_another_login(void) {
  tc_token given = fixture_login("his", "given", -1);
  given.authorized_at = LOGIN_TIME - 1;
  given.scope = TC_STR("a b c");
  return given;
}

static void test_a_given_token_of_another_login_that_is_dead(void) {
  tc_token cached = fixture_login("old", "r1", 3600), given = of_another_login();
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_user((tc_engine_options){.given = &given, .lockless = true});
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  RENEWS("given");
  CHECK_NUM(scene.engine.request.renewed, TC_FROM_GIVEN);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(cached));
  FAILS(TC_ERR_REAUTHORIZE);
  end();
}

static void test_a_given_token_of_another_login_is_renewed(void) {
  tc_token cached = fixture_login("old", "r1", 3600), given = of_another_login();
  tc_token_response fresh = fixture_answer("new");
  begin_renewing(&cached, (tc_engine_options){.given = &given});
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(scene.engine.best.token.authorized_at, LOGIN_TIME - 1);
  CHECK_STR(scene.engine.best.token.scope, TC_STR("a b c"));
  CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("given"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end();
}

/* The cache may hold what became of it; sent again, a one-time refresh token ends the login. */
static void test_a_given_token_beside_a_cache_that_cannot_be_read(void) {
  tc_token given = fixture_login("old", "r1", -1), expiring = fixture_login("old", "r1", 30);
  begin_user((tc_engine_options){.given = &given});
  STEP(LOAD, FAILED);
  FAILS(TC_ERR_CACHE);
  end();

  begin_user((tc_engine_options){.given = &given});
  LOAD_LOCK_LOAD(NONE, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end();

  begin_user((tc_engine_options){.given = &expiring});
  STEP(LOAD, FAILED);
  RETURNS("old", TC_FROM_GIVEN);
  end();
}

static void test_who_insists_renews_it_beside_a_cache_that_cannot_be_read(void) {
  tc_token given = fixture_login("old", "r1", -1);
  begin_user((tc_engine_options){.given = &given, .forced = true});
  LOAD_LOCK_LOAD(FAILED, FAILED);
  STEP(PROBE, OK);
  RENEWS("r1");
  end();

  begin_user((tc_engine_options){.given = &given, .forced = true});
  LOAD_LOCK_LOAD(FAILED, FAILED);
  STEP(PROBE, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end();

  begin_user((tc_engine_options){.given = &given, .forced = true});
  STEP(LOAD, FAILED);
  STEP(LOCK, FAILED);
  FAILS(TC_ERR_CACHE);
  end();
}

static void test_a_given_token_that_was_renewed_before_the_lock(void) {
  tc_token given = fixture_login("old", "r1", -1), renewed = fixture_login("newer", "r2", 3600),
           earlier = fixture_login("older", "r0", -2);
  begin_user((tc_engine_options){.given = &given});
  LOAD_LOCK_LOAD(FOUND(earlier), FOUND(renewed));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_given_token_that_was_renewed_without_a_lock(void) {
  tc_token given = fixture_login("old", "r1", -1), renewed = fixture_login("newer", "r2", 3600),
           earlier = fixture_login("older", "r0", -2);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  begin_user((tc_engine_options){.given = &given, .lockless = true});
  STEP(LOAD, FOUND(earlier));
  STEP(PROBE, OK);
  RENEWS("r1");
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(renewed));
  RETURNS("newer", TC_FROM_CACHE);
  end();
}

static void test_a_given_token_with_some_seconds_left(void) {
  tc_token given = fixture_login("old", "r1", 30);
  tc_token_response away = fixture_refusal(500, "server_error");
  begin_user((tc_engine_options){.given = &given});
  LOAD_LOCK_LOAD(NONE, NONE);
  STEP(PROBE, OK);
  STEP(REQUEST, ANSWERED(away));
  STEP(UNLOCK, OK);
  RETURNS("old", TC_FROM_GIVEN);
  end();
}

int main(void) {
  RUN(test_a_given_refresh_token_in_the_cache);
  RUN(test_a_given_refresh_token_alone_is_renewed_however_new);
  RUN(test_a_given_token_of_another_login_that_is_dead);
  RUN(test_a_given_token_of_another_login_is_renewed);
  RUN(test_a_given_token_beside_a_cache_that_cannot_be_read);
  RUN(test_who_insists_renews_it_beside_a_cache_that_cannot_be_read);
  RUN(test_a_given_token_that_was_renewed_before_the_lock);
  RUN(test_a_given_token_that_was_renewed_without_a_lock);
  RUN(test_a_given_token_with_some_seconds_left);
  return done();
}
