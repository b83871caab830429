/* Plays the driver to a flow with a user: carries an action out, says what came of it. */
#ifndef TC_SCENE_H
#define TC_SCENE_H

#include "core/engine.h"
#include "test.h"

#define NOW 1760000000.0 /* Unix seconds */
#define LOGGED_IN 1750000000
#define TIMEOUT 30.0

typedef struct scene {
  tc_client client;
  tc_engine engine;
  tc_action action;
  double time; /* since the start */
  bool lost;   /* the engine went another way than the test: the rest says nothing */
} scene;

static inline tc_client new_client(const char *flow, bool keeps_dead) {
  tc_client client;
  tc_error err = TC_ERROR_NONE;
  tc_client_config config = {.flow = tc_str_of(flow),
                             .auth_method = TC_STR("none"),
                             .token_url = TC_STR("https://id.example/token"),
                             .client_id = TC_STR("client"),
                             .scope = TC_STR("a"),
                             .leeway = 60,
                             .keeps_dead = keeps_dead};
  CHECK_NUM(tc_client_init(&client, &config, &err), 0);
  return client;
}

static inline tc_clocks clocks(const scene *s) {
  return (tc_clocks){NOW + s->time, 100 + s->time};
}

static inline void begin_as(scene *s, tc_client client, tc_engine_options options) {
  *s = (scene){.client = client, .engine = TC_ENGINE_EMPTY};
  options.timeout = TIMEOUT;
  s->action = tc_engine_start(&s->engine, &s->client, &options, clocks(s));
}

static inline void begin(scene *s, tc_engine_options options) {
  begin_as(s, new_client("pkce", false), options);
}

static inline void end(scene *s) {
  tc_engine_free(&s->engine);
  tc_client_free(&s->client);
}

static inline bool is_at(scene *s, tc_action want, const char *file, int line) {
  if (s->lost) return false;
  s->lost = !test_check_num(s->action, want, file, line);
  return !s->lost;
}

static inline void step(scene *s, tc_action want, tc_result result, const char *file, int line) {
  if (!is_at(s, want, file, line)) return;
  if (want == TC_ACTION_SLEEP) s->time += s->engine.seconds;
  result.clocks = clocks(s);
  s->action = tc_engine_resume(&s->engine, &result);
}

#define STEP(ACTION, ...) step(&s, TC_ACTION_##ACTION, (tc_result){__VA_ARGS__}, __FILE__, __LINE__)
#define IS_AT(ACTION) is_at(&s, TC_ACTION_##ACTION, __FILE__, __LINE__)
#define OK .outcome = TC_OK
#define NONE .outcome = TC_NONE
#define FAILED .outcome = TC_FAILED
#define FOUND(info) .outcome = TC_OK, .token = &(info)
#define ANSWERED(answer) .outcome = TC_OK, .response = &(answer)
#define BROKE(err) .outcome = TC_FAILED, .error = &(err)

#define RETURNS(text, from)                                                                        \
  do {                                                                                             \
    if (!IS_AT(RETURN)) break;                                                                     \
    CHECK_STR(s.engine.token.access_token, TC_STR(text));                                          \
    CHECK_NUM(s.engine.origin, from);                                                              \
  } while (0)
#define FAILS(want)                                                                                \
  do {                                                                                             \
    if (IS_AT(FAIL)) CHECK_NUM(s.engine.error.number, want);                                       \
  } while (0)
#define BODY(text) CHECK_STR(tc_buf_str(&s.engine.body), TC_STR(text))
#define REFRESH_BODY(token)                                                                        \
  BODY("grant_type=refresh_token&refresh_token=" token "&client_id=client")

static const tc_engine_options plain = {.forced = false}, forced = {.forced = true};

static inline tc_token login(const char *access_token, const char *refresh_token, int left) {
  tc_token token = TC_TOKEN_NONE;
  token.access_token = tc_str_of(access_token);
  token.refresh_token = tc_str_of(refresh_token);
  token.scope = TC_STR("a");
  token.expires_at = (int64_t)NOW + left;
  token.authorized_at = LOGGED_IN;
  return token;
}

static inline tc_value text(const char *string) {
  return (tc_value){.type = TC_VALUE_STRING, .string = tc_str_of(string)};
}

static inline tc_token_response answer(const char *access_token, const char *refresh_token) {
  tc_token_response response = {.status = 200, .retry_after = -1, .is_object = true};
  response.access_token = text(access_token);
  if (refresh_token != NULL) response.refresh_token = text(refresh_token);
  response.expires_in = (tc_value){.type = TC_VALUE_NUMBER, .number = 3600};
  return response;
}

static inline tc_token_response refusal(int status, const char *code) {
  return (tc_token_response){
      .status = status, .retry_after = -1, .is_object = true, .error = text(code)};
}

#endif
