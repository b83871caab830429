/* Every allocation of the core fails in turn: no crash, no leak (the sanitizers look), and either
   TC_ERR_NOMEM or the result there would have been. Linked with --wrap=malloc. */
#include <stdlib.h>

#include "core/base64.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "core/scope.h"
#include "engine_run.h"

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

static void fail_each(scenario *scene) {
  for (long i = 0; i < 1000; i++) {
    countdown = i;
    has_failed = false;
    bool succeeded = scene();
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
    CHECK(client.token_url == NULL && client.client_secret == NULL);
    return false;
  }
  CHECK_TEXT(client.scope, "a b");
  CHECK_TEXT(client.params, "audience=x");
  tc_client_free(&client);
  return true;
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
  tc_base64_encode(&base64, tc_buf_str(&encoded));
  bool done = !encoded.failed && !base64.failed;
  if (done) {
    int rc = tc_form_decode(&decoded, tc_buf_str(&encoded), &err);
    CHECK(rc == 0 || rc == TC_ERR_NOMEM);
    done = rc == 0;
    if (done) CHECK_NUM(decoded.len, 4 * (sizeof "name=" - 1 + sizeof text - 1) + 3);
    CHECK_NUM(base64.len, (encoded.len + 2) / 3 * 4);
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

/* Answers whatever the engine asks: the cache holds `cached` until it is removed, the server says
   `response`. Stops where the bindings would: at an error of memory. */
static bool drive(run *r, const tc_token *cached, const tc_token_response *response) {
  bool held = false;
  while (r->action != TC_ACTION_RETURN && r->action != TC_ACTION_FAIL) {
    tc_result result = {.clocks = r->clocks, .outcome = TC_OK, .response = response};
    if (r->action == TC_ACTION_LOAD) {
      result.token = cached;
      result.outcome = cached != NULL ? TC_OK : TC_NONE;
    }
    if (r->action == TC_ACTION_REMOVE) cached = NULL;
    if (r->action == TC_ACTION_LOCK) held = true;
    if (r->action == TC_ACTION_UNLOCK) held = false;
    r->action = tc_engine_resume(&r->engine, &result);
  }
  CHECK(!held);
  return r->engine.error.number != TC_ERR_NOMEM;
}

static void begin(run *r, const tc_token *memory) {
  long later = countdown; /* the client is another scenario */
  countdown = -1;
  tc_client_config config = fixture_config();
  config.auth_method = TC_STR("client_secret_basic");
  config.params = TC_STR("api_key=s3cond+s3cret");
  tc_client client = fixture_user_client(&config);
  countdown = later;
  run_begin_with(r, client, (tc_engine_options){.memory = memory});
}

static bool renew(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  answer.refresh_token = text_value("r2");
  answer.scope = text_value("a");
  begin(&r, NULL);
  bool done = drive(&r, &cached, &answer);
  if (done) {
    CHECK_NUM(r.action, TC_ACTION_RETURN);
    CHECK_STR(r.engine.token.access_token, TC_STR("new"));
    CHECK_STR(r.engine.token.refresh_token, TC_STR("r2"));
    CHECK_STR(r.engine.token.requested_scope, TC_STR("a b"));
    CHECK_NUM(r.engine.token.authorized_at, cached.authorized_at);
  } else {
    CHECK_NUM(r.action, TC_ACTION_FAIL);
  }
  run_end(&r);
  return done;
}

static bool save_again(void) {
  run r;
  tc_token unsaved = fixture_login("unsaved", "r2", 3600), older = fixture_login("old", "r1", 5);
  tc_token_response none = fixture_status(500);
  begin(&r, &unsaved);
  bool done = drive(&r, &older, &none);
  if (done) {
    CHECK_NUM(r.action, TC_ACTION_RETURN);
    CHECK_STR(r.engine.token.access_token, TC_STR("unsaved"));
  }
  run_end(&r);
  return done;
}

static bool be_misunderstood(void) {
  run r;
  tc_token cached = fixture_login("old", "r1", -5);
  tc_token_response answer = fixture_answer("new");
  answer.token_type = text_value("mac");
  answer.refresh_token = text_value("r2");
  begin(&r, NULL);
  bool done = drive(&r, &cached, &answer);
  CHECK_NUM(r.action, TC_ACTION_FAIL);
  if (done) {
    CHECK_NUM(r.engine.error.number, TC_ERR_PROTOCOL);
    CHECK_STR(r.engine.token.refresh_token, TC_STR("r2"));
  }
  run_end(&r);
  return done;
}

static bool be_refused(void) {
  run r;
  tc_token cached = fixture_login("old", "r1-r1-r1", -5);
  tc_token_response dead = fixture_refusal(400, "invalid_grant");
  dead.error_description = text_value("r1-r1-r1 of s3cond s3cret is dead, " SECRET "!");
  begin(&r, NULL);
  bool done = drive(&r, &cached, &dead);
  CHECK_NUM(r.action, TC_ACTION_FAIL);
  if (done) CHECK_NUM(r.engine.error.number, TC_ERR_REAUTHORIZE);
  CHECK(strstr(r.engine.error.message, "r1-") == NULL);
  CHECK(strstr(r.engine.error.message, "s3c") == NULL);
  CHECK(strstr(r.engine.error.description, "s3c") == NULL);
  run_end(&r);
  return done;
}

static bool be_refused_by_an_unknown_code(void) {
  run r;
  tc_token_response odd = fixture_refusal(400, "odd s3cond s3cret");
  begin(&r, NULL);
  bool done = drive(&r, NULL, &odd);
  CHECK_NUM(r.action, TC_ACTION_FAIL);
  if (done) CHECK_NUM(r.engine.error.number, TC_ERR_DENIED);
  CHECK(strstr(r.engine.error.message, "s3c") == NULL &&
        strstr(r.engine.error.code, "s3c") == NULL);
  run_end(&r);
  return done;
}

static void test_client(void) {
  fail_each(make_client);
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
}

static void test_an_answer_of_no_use_but_its_refresh_token(void) {
  fail_each(be_misunderstood);
}

static void test_an_unsaved_token(void) {
  fail_each(save_again);
}

static void test_a_refusal(void) {
  fail_each(be_refused);
  fail_each(be_refused_by_an_unknown_code);
}

int main(void) {
  RUN(test_client);
  RUN(test_scope);
  RUN(test_form_and_base64);
  RUN(test_json);
  RUN(test_a_renewal);
  RUN(test_an_answer_of_no_use_but_its_refresh_token);
  RUN(test_an_unsaved_token);
  RUN(test_a_refusal);
  return done();
}
