/* Every allocation of the core fails in turn: no crash, no leak (the sanitizers look), and either
   TC_ERR_NOMEM or the result there would have been. Linked with --wrap=malloc. */
#include <stdlib.h>

#include "core/base64.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "core/scope.h"
#include "scene.h"

static long countdown = -1; /* allocations until one fails; negative: none does */
static bool has_failed;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size) {
  if (countdown == 0) {
    countdown = -1;
    has_failed = true;
    return NULL;
  }
  if (countdown > 0) countdown--;
  return __real_malloc(size);
}

/* Tells whether it succeeded; what it finds wrong it CHECKs. */
typedef bool scenario(void);

static void fail_each(scenario *play) {
  for (long i = 0; i < 1000; i++) {
    countdown = i;
    has_failed = false;
    bool succeeded = play();
    countdown = -1;
    if (!has_failed) {
      CHECK(succeeded);
      CHECK(i > 0);
      return;
    }
    if (failed_checks > 0) {
      printf("#   allocation %ld failed\n", i);
      return;
    }
  }
  CHECK(!"the scenario allocates without end");
}

static bool make_client(void) {
  tc_client client;
  tc_error err = TC_ERROR_NONE;
  tc_client_config config = fixture_config();
  config.params = TC_STR("audience=x");
  if (tc_client_init(&client, &config, &err) != 0) {
    CHECK_NUM(err.number, TC_ERR_NOMEM);
    CHECK(client.token_url == NULL);
    return false;
  }
  CHECK_TEXT(client.scope, "a b");
  CHECK_TEXT(client.params, "audience=x");
  tc_client_free(&client);
  return true;
}

/* After a failure the client is what it was. */
static bool move_endpoint(void) {
  long later = countdown; /* the client is another scenario */
  countdown = -1;
  tc_client_config config = fixture_config();
  tc_client client = fixture_client(&config);
  tc_error err = TC_ERROR_NONE;
  countdown = later;
  int rc = tc_client_set_endpoint(&client, TC_STR("https://b.example/t?x"), &err);
  CHECK(rc == 0 || rc == TC_ERR_NOMEM);
  CHECK_TEXT(client.endpoint, rc == 0 ? "https://b.example/t" : ENDPOINT);
  CHECK_TEXT(client.token_url, rc == 0 ? "https://b.example/t?x" : ENDPOINT "?tenant=t3nant");
  tc_client_free(&client);
  return rc == 0;
}

static bool normalize_scope(void) {
  tc_buf out = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  int rc = tc_scope_normalize(
      &out, TC_STR("zoo yak xylophone wolf violin umbrella tiger snake rabbit queen parrot otter"),
      &err);
  CHECK(rc == 0 || rc == TC_ERR_NOMEM);
  if (rc == 0) {
    CHECK_STR(tc_buf_str(&out), TC_STR("otter parrot queen rabbit snake tiger umbrella violin wolf "
                                       "xylophone yak zoo"));
  }
  tc_buf_free(&out);
  return rc == 0;
}

static bool encode_and_decode(void) {
  static const char text[] = "\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251";
  tc_buf encoded = TC_BUF_EMPTY, decoded = TC_BUF_EMPTY, base64 = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  for (int i = 0; i < 4; i++) tc_form_add(&encoded, TC_STR("name"), tc_str_of(text));
  tc_base64url_encode(&base64, tc_buf_str(&encoded));
  bool done = !encoded.failed && !base64.failed;
  if (done) {
    int rc = tc_form_decode(&decoded, tc_buf_str(&encoded), &err);
    CHECK(rc == 0 || rc == TC_ERR_NOMEM);
    done = rc == 0;
    if (done) CHECK_NUM(decoded.len, 4 * (sizeof "name=" - 1 + sizeof text - 1) + 3);
    CHECK_NUM(base64.len, (encoded.len * 4 + 2) / 3);
  }
  tc_buf_free(&encoded);
  tc_buf_free(&decoded);
  tc_buf_free(&base64);
  return done;
}

static bool write_and_read_json(void) {
  tc_buf text = TC_BUF_EMPTY, scratch = TC_BUF_EMPTY;
  tc_json_reader reader;
  tc_json_event event;
  tc_error err = TC_ERROR_NONE;
  CHECK(tc_json_add_string(&text, TC_STR("\n\303\251 a string that has escapes and some length")));
  bool done = !text.failed;
  if (done) {
    tc_json_reader_init(&reader, tc_buf_str(&text), &scratch);
    int rc = tc_json_read(&reader, &event, &err);
    CHECK(rc == 0 || rc == TC_ERR_NOMEM);
    done = rc == 0;
    if (done)
      CHECK_STR(reader.string, TC_STR("\n\303\251 a string that has escapes and some length"));
  }
  tc_buf_free(&text);
  tc_buf_free(&scratch);
  return done;
}

/* Answers whatever the engine asks: the cache holds `cached` until it is removed, and something
   newer where the probe says so; the server says `response`. Stops where the bindings would: at an
   error of memory. */
static bool drive(const tc_token *cached, const tc_token *newer,
                  const tc_token_response *response) {
  bool held = false;
  while (scene.action != TC_ACTION_RETURN && scene.action != TC_ACTION_FAIL) {
    tc_result result = OK;
    result.clocks = scene.clocks;
    result.response = response;
    if (scene.action == TC_ACTION_REQUEST) {
      result.sent =
          TC_STR("refresh_token=r1-r1-r1&api_key=s3cond+s3cret&client_secret=s3cr3t%2F%2B+%25");
    }
    if (scene.action == TC_ACTION_LOAD) {
      result.token = cached;
      result.outcome = cached != NULL ? TC_OK : TC_NONE;
    }
    if (scene.action == TC_ACTION_AUTHORIZE) {
      result.credential = LOGGED_IN.credential;
      result.response = NULL;
    }
    if (scene.action == TC_ACTION_PROBE && newer != NULL) {
      cached = newer;
      newer = NULL;
      result.outcome = TC_NONE;
    }
    if (scene.action == TC_ACTION_REMOVE) cached = NULL;
    if (scene.action == TC_ACTION_LOCK) held = true;
    if (scene.action == TC_ACTION_UNLOCK) held = false;
    scene.action = tc_engine_resume(&scene.engine, &result);
  }
  CHECK(!held);
  return scene.engine.error.number != TC_ERR_NOMEM;
}

static void begin_with(tc_engine_options options) {
  long later = countdown; /* the client is another scenario */
  countdown = -1;
  tc_client_config config = fixture_config();
  config.params = TC_STR("api_key=s3cond+s3cret");
  tc_client client = fixture_user_client(&config);
  countdown = later;
  begin_as(client, options);
}

static bool renew(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  answer.scope = text_value("a");
  begin_with(PLAIN);
  bool done = drive(&cached, NULL, &answer);
  if (done) {
    CHECK_NUM(scene.action, TC_ACTION_RETURN);
    CHECK_STR(scene.engine.best.token.access_token, TC_STR("new"));
    CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
    CHECK_STR(scene.engine.best.token.requested_scope, TC_STR("a b"));
    CHECK_NUM(scene.engine.best.token.authorized_at, cached.authorized_at);
  } else {
    CHECK_NUM(scene.action, TC_ACTION_FAIL);
  }
  end();
  return done;
}

static bool renew_what_the_probe_found(void) {
  tc_token cached = fixture_login("old", "r1", -5), newer = fixture_login("newer", "r2", -5);
  tc_token_response answer = fixture_login_answer("new", "r3");
  begin_with(PLAIN);
  bool done = drive(&cached, &newer, &answer);
  CHECK_NUM(scene.action, done ? TC_ACTION_RETURN : TC_ACTION_FAIL);
  if (done) {
    CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r3"));
    CHECK_NUM(scene.engine.request.news, 1);
  }
  end();
  return done;
}

/* Without memory for it nobody knows which token must not serve. */
static bool renew_what_the_api_refuses(void) {
  tc_token cached = fixture_login("an access token that the API refuses", "r1", 3600);
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_with((tc_engine_options){.refused = cached.access_token});
  bool done = drive(&cached, NULL, &answer);
  CHECK_NUM(scene.action, done ? TC_ACTION_RETURN : TC_ACTION_FAIL);
  if (done) CHECK_STR(scene.engine.best.token.access_token, TC_STR("new"));
  end();
  return done;
}

static bool get_what_the_api_refuses(void) {
  tc_token cached = fixture_login("bad", "r1", 3600);
  tc_token_response answer = fixture_login_answer("bad", "r2");
  begin_with((tc_engine_options){.refused = cached.access_token});
  bool done = drive(&cached, NULL, &answer);
  CHECK_NUM(scene.action, TC_ACTION_FAIL);
  if (done) {
    CHECK_NUM(scene.engine.error.number, TC_ERR_DENIED);
    CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  }
  end();
  return done;
}

static bool renew_a_given_token(void) {
  tc_token given = fixture_login("his", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  begin_with((tc_engine_options){.given = &given, .forced = true});
  bool done = drive(NULL, NULL, &answer);
  CHECK_NUM(scene.action, done ? TC_ACTION_RETURN : TC_ACTION_FAIL);
  if (done) CHECK_STR(scene.engine.best.token.access_token, TC_STR("new"));
  end();
  return done;
}

static bool log_in(void) {
  tc_token_response answer = fixture_login_answer("new", "r1");
  begin_with(PLAIN);
  bool done = drive(NULL, NULL, &answer);
  CHECK_NUM(scene.action, done ? TC_ACTION_RETURN : TC_ACTION_FAIL);
  if (done) CHECK_STR(scene.engine.best.token.access_token, TC_STR("new"));
  end();
  return done;
}

static bool be_misunderstood(void) {
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_login_answer("new", "r2");
  answer.token_type = text_value("mac");
  begin_with(PLAIN);
  bool done = drive(&cached, NULL, &answer);
  CHECK_NUM(scene.action, TC_ACTION_FAIL);
  if (done) {
    CHECK_NUM(scene.engine.error.number, TC_ERR_PROTOCOL);
    CHECK_STR(scene.engine.best.token.refresh_token, TC_STR("r2"));
  }
  end();
  return done;
}

static bool be_called_dead(void) {
  tc_token cached = fixture_login("old", "r1-r1-r1", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  dead.error_description = text_value("r1-r1-r1 of s3cond s3cret is dead, " SECRET "!");
  begin_with(PLAIN);
  bool done = drive(&cached, NULL, &dead);
  CHECK_NUM(scene.action, TC_ACTION_FAIL);
  if (done) CHECK_NUM(scene.engine.error.number, TC_ERR_REAUTHORIZE);
  CHECK(strstr(scene.engine.error.message, "r1-") == NULL);
  CHECK(strstr(scene.engine.error.message, "s3c") == NULL);
  CHECK(strstr(scene.engine.error.description, "s3c") == NULL);
  end();
  return done;
}

static bool be_refused_by_an_unknown_code(void) {
  tc_token_response odd = fixture_refusal(400, "odd s3cond s3cret");
  begin_with(PLAIN);
  bool done = drive(NULL, NULL, &odd);
  CHECK_NUM(scene.action, TC_ACTION_FAIL);
  if (done) CHECK_NUM(scene.engine.error.number, TC_ERR_DENIED);
  CHECK(strstr(scene.engine.error.message, "s3c") == NULL &&
        strstr(scene.engine.error.code, "s3c") == NULL);
  end();
  return done;
}

static void test_client(void) {
  fail_each(make_client);
  fail_each(move_endpoint);
}

static void test_scope(void) {
  fail_each(normalize_scope);
}

static void test_form_and_base64(void) {
  fail_each(encode_and_decode);
}

static void test_json(void) {
  fail_each(write_and_read_json);
}

static void test_a_renewal(void) {
  fail_each(renew);
  fail_each(renew_what_the_probe_found);
  fail_each(renew_a_given_token);
}

static void test_a_login(void) {
  fail_each(log_in);
}

static void test_a_token_that_the_api_refuses(void) {
  fail_each(renew_what_the_api_refuses);
  fail_each(get_what_the_api_refuses);
}

static void test_an_answer_of_no_use_but_its_refresh_token(void) {
  fail_each(be_misunderstood);
}

static void test_a_refusal(void) {
  fail_each(be_called_dead);
  fail_each(be_refused_by_an_unknown_code);
}

int main(void) {
  RUN(test_client);
  RUN(test_scope);
  RUN(test_form_and_base64);
  RUN(test_json);
  RUN(test_a_renewal);
  RUN(test_a_login);
  RUN(test_a_token_that_the_api_refuses);
  RUN(test_an_answer_of_no_use_but_its_refresh_token);
  RUN(test_a_refusal);
  return done();
}
