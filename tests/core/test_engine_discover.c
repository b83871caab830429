/* A client that has to be told where requests go. */
#include "scene.h"

static void begin_discovering(tc_engine_options options) {
  tc_client_config config = fixture_issuer_config();
  begin_as(fixture_user_client(&config), options);
}

static tc_result told(void) {
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_client_set_endpoint(&scene.client, TC_STR(ENDPOINT), &err), 0);
  return OK;
}

static void test_it_asks_before_the_lock_and_anew_at_each_renewal(void) {
  tc_token old = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  for (int i = 0; i < 2; i++) {
    begin_discovering(PLAIN);
    STEP(LOAD, FOUND(old));
    STEP(DISCOVER, told());
    STEP(LOCK, OK);
    STEP(LOAD, FOUND(old));
    STEP(PROBE, OK);
    STEP(REQUEST, ANSWERED(answer));
    STEP(SAVE, OK);
    STEP(UNLOCK, OK);
    RETURNS("new", TC_FROM_ANSWER);
    end();
  }
}

static void test_it_does_not_ask_for_a_token_that_is_there(void) {
  tc_token good = fixture_login("good", "r1", 3600);
  begin_discovering(PLAIN);
  STEP(LOAD, FOUND(good));
  RETURNS("good", TC_FROM_CACHE);
  end();
}

static void test_a_failure_counts_as_a_request_that_was_not_sent(void) {
  tc_token old = fixture_login("old", "r1", -5), brief = fixture_login("brief", "r1", 30);
  tc_error away = an_error(TC_ERR_CONNECT);
  begin_discovering(PLAIN);
  STEP(LOAD, FOUND(old));
  STEP(DISCOVER, BROKE(away));
  FAILS(TC_ERR_CONNECT);
  end();
  begin_discovering(PLAIN);
  STEP(LOAD, FOUND(brief));
  STEP(DISCOVER, BROKE(away));
  RETURNS("brief", TC_FROM_CACHE);
  CHECK_NUM(scene.engine.error.number, TC_ERR_CONNECT);
  end();
}

static void test_a_code_is_kept_where_it_cannot_be_exchanged(void) {
  tc_error away = an_error(TC_ERR_CONNECT);
  begin_discovering((tc_engine_options){.authorized = true});
  STEP(AUTHORIZE, LOGGED_IN);
  STEP(DISCOVER, BROKE(away));
  FAILS(TC_ERR_CONNECT);
  CHECK(tc_engine_code_is_unused(&scene.engine));
  end();
}

int main(void) {
  RUN(test_it_asks_before_the_lock_and_anew_at_each_renewal);
  RUN(test_it_does_not_ask_for_a_token_that_is_there);
  RUN(test_a_failure_counts_as_a_request_that_was_not_sent);
  RUN(test_a_code_is_kept_where_it_cannot_be_exchanged);
  return done();
}
