/* Runs about a token that is not, or not only, in the cache: one that could not be saved, or that
   the caller gave. */
#include "scene.h"

static void test_an_unsaved_token_is_saved(void) {
  scene s;
  tc_token cached = login("old", "r1", -1), memory = login("mine", "r2", 3600);
  begin(&s, (tc_engine_options){.memory = &memory, .replaced = cached.access_token});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  STEP(SAVE, FAILED);
  STEP(UNLOCK, OK);
  RETURNS("mine", TC_FROM_MEMORY);
  CHECK(s.engine.unsaved);
  end(&s);
}

static void test_an_unsaved_token_is_what_is_renewed(void) {
  scene s;
  tc_token cached = login("old", "r1", 50), memory = login("mine", "r2", 0);
  tc_token_response fresh = answer("new", "r3");
  begin(&s, (tc_engine_options){.memory = &memory, .replaced = cached.access_token});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  REFRESH_BODY("r2");
  CHECK_NUM(s.engine.renewed, TC_FROM_MEMORY);
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void test_an_unsaved_token_gives_way_to_a_later_login_only(void) {
  static const struct {
    int later; /* than the unsaved one's login */
    int left;  /* seconds of the cached token; the unsaved one has 1800 */
    tc_action then;
  } cases[] = {
      {1, 3600, TC_ACTION_RETURN}, {1, 100, TC_ACTION_RETURN}, {0, 3600, TC_ACTION_RETURN},
      {0, 1800, TC_ACTION_LOCK},   {0, 100, TC_ACTION_LOCK},   {-1, 3600, TC_ACTION_LOCK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    scene s;
    tc_token memory = login("mine", "r2", 1800), cached = login("cached", "r9", cases[i].left);
    cached.authorized_at += cases[i].later;
    begin(&s, (tc_engine_options){.memory = &memory});
    STEP(LOAD, FOUND(cached));
    if (!is_at(&s, cases[i].then, __FILE__, __LINE__)) printf("#   case %zu\n", i);
    end(&s);
  }
}

static void test_an_unsaved_token_that_is_dead_leaves_the_cached_one(void) {
  scene s;
  tc_token cached = login("old", "r1", -1), memory = login("mine", "r2", -1);
  tc_token_response dead = refusal(400, "invalid_grant"), fresh = answer("new", "r3");
  begin(&s, (tc_engine_options){.memory = &memory, .replaced = cached.access_token});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  REFRESH_BODY("r2");
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(cached));
  REFRESH_BODY("r1");
  STEP(REQUEST, ANSWERED(fresh));
  STEP(SAVE, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void test_what_another_run_left_unsaved_meanwhile(void) {
  scene s;
  tc_token cached = login("old", "r1", -1), memory = login("mine", "r2", 3600);
  begin(&s, plain);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  CHECK_NUM(tc_engine_remember(&s.engine, &memory, cached.access_token), 0);
  STEP(LOAD, FOUND(cached));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("mine", TC_FROM_MEMORY);
  end(&s);
}

static void test_what_another_run_saved_meanwhile(void) {
  scene s;
  tc_token cached = login("old", "r1", -1), memory = login("mine", "r2", 0);
  tc_token newer = login("newer", "r3", 0);
  begin(&s, (tc_engine_options){.memory = &memory, .replaced = cached.access_token});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  CHECK_NUM(tc_engine_remember(&s.engine, NULL, TC_STR_NONE), 0);
  STEP(LOAD, FOUND(newer));
  REFRESH_BODY("r3");
  end(&s);
}

static void test_a_given_refresh_token_in_the_cache(void) {
  scene s;
  tc_token cached = login("old", "r1", 3600);
  tc_token_response fresh = answer("new", "r2");
  tc_token given = login("", "r1", 0);
  begin(&s, (tc_engine_options){.given = &given, .forced = true});
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  CHECK_NUM(s.engine.renewed, TC_FROM_CACHE);
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(s.engine.token.authorized_at, LOGGED_IN);
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

static void test_a_given_token_of_another_login(void) {
  scene s;
  tc_token cached = login("old", "r1", 3600), given = login("his", "given", -1);
  tc_token_response fresh = answer("new", NULL), dead = refusal(400, "invalid_grant");
  given.authorized_at = LOGGED_IN - 1;
  given.scope = TC_STR("a b");
  tc_engine_options options = {.given = &given, .memory = &cached};
  begin(&s, options);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, FAILED);
  REFRESH_BODY("given");
  CHECK_NUM(s.engine.renewed, TC_FROM_GIVEN);
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(cached));
  FAILS(TC_ERR_REAUTHORIZE);
  end(&s);

  begin(&s, options);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(cached));
  STEP(REQUEST, ANSWERED(fresh));
  CHECK_NUM(s.engine.token.authorized_at, LOGGED_IN - 1);
  CHECK_STR(s.engine.token.scope, TC_STR("a b"));
  CHECK_STR(s.engine.token.refresh_token, TC_STR("given"));
  STEP(SAVE, OK);
  STEP(UNLOCK, OK);
  RETURNS("new", TC_FROM_ANSWER);
  end(&s);
}

/* The cache may hold what became of it; sent again, a one-time refresh token ends the login. */
static void test_a_given_token_beside_a_cache_that_cannot_be_read(void) {
  scene s;
  tc_token given = login("old", "r1", -1), expiring = login("old", "r1", 30);
  begin(&s, (tc_engine_options){.given = &given});
  STEP(LOAD, FAILED);
  FAILS(TC_ERR_CACHE);
  end(&s);

  begin(&s, (tc_engine_options){.given = &given});
  STEP(LOAD, NONE);
  STEP(LOCK, OK);
  STEP(LOAD, FAILED);
  STEP(UNLOCK, OK);
  FAILS(TC_ERR_CACHE);
  end(&s);

  begin(&s, (tc_engine_options){.given = &expiring});
  STEP(LOAD, FAILED);
  RETURNS("old", TC_FROM_GIVEN);
  end(&s);

  begin(&s, (tc_engine_options){.given = &given, .forced = true});
  STEP(LOAD, FAILED);
  STEP(LOCK, FAILED);
  REFRESH_BODY("r1");
  end(&s);
}

static void test_a_given_token_that_was_renewed_meanwhile(void) {
  scene s;
  tc_token given = login("old", "r1", -1), renewed = login("newer", "r2", 3600);
  tc_token earlier = login("older", "r0", -2);
  tc_token_response dead = refusal(400, "invalid_grant");
  begin(&s, (tc_engine_options){.given = &given});
  STEP(LOAD, FOUND(earlier));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(renewed));
  STEP(UNLOCK, OK);
  RETURNS("newer", TC_FROM_CACHE);
  end(&s);

  begin(&s, (tc_engine_options){.given = &given});
  STEP(LOAD, FOUND(earlier));
  STEP(LOCK, FAILED);
  REFRESH_BODY("r1");
  STEP(REQUEST, ANSWERED(dead));
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(renewed));
  RETURNS("newer", TC_FROM_CACHE);
  end(&s);

  begin(&s, (tc_engine_options){.given = &given, .memory = &renewed});
  STEP(LOAD, FOUND(given));
  STEP(LOCK, FAILED);
  STEP(SAVE, OK);
  RETURNS("newer", TC_FROM_MEMORY);
  end(&s);
}

static void test_a_given_token_with_some_seconds_left(void) {
  scene s;
  tc_token given = login("old", "r1", 30);
  tc_token_response away = refusal(500, "server_error");
  begin(&s, (tc_engine_options){.given = &given});
  STEP(LOAD, NONE);
  STEP(LOCK, FAILED);
  STEP(REQUEST, ANSWERED(away));
  RETURNS("old", TC_FROM_GIVEN);
  end(&s);
}

static void test_a_forced_renewal_takes_the_newest_refresh_token(void) {
  scene s;
  tc_token cached = login("old", "r1", 3600), newer = login("newer", "r2", 3600);
  begin(&s, forced);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, NONE);
  STEP(SLEEP, OK);
  STEP(LOAD, FOUND(cached));
  STEP(LOCK, OK);
  STEP(LOAD, FOUND(newer));
  REFRESH_BODY("r2");
  end(&s);
}

int main(void) {
  RUN(test_an_unsaved_token_is_saved);
  RUN(test_an_unsaved_token_is_what_is_renewed);
  RUN(test_an_unsaved_token_gives_way_to_a_later_login_only);
  RUN(test_an_unsaved_token_that_is_dead_leaves_the_cached_one);
  RUN(test_what_another_run_left_unsaved_meanwhile);
  RUN(test_what_another_run_saved_meanwhile);
  RUN(test_a_given_refresh_token_in_the_cache);
  RUN(test_a_given_token_of_another_login);
  RUN(test_a_given_token_beside_a_cache_that_cannot_be_read);
  RUN(test_a_given_token_that_was_renewed_meanwhile);
  RUN(test_a_given_token_with_some_seconds_left);
  RUN(test_a_forced_renewal_takes_the_newest_refresh_token);
  return done();
}
