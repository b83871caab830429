/* The scene of the engine's tests: they play the driver, say what comes of each action, and check
   which one the engine asks for next.

     begin_user(PLAIN);
     STEP(LOAD, FOUND(expired));
     STEP(LOCK, BUSY);
     STEP(SLEEP, OK);
     STEP(LOAD, FOUND(newer));
     RETURNS("newer", TC_FROM_CACHE);
     end(); */
#ifndef TC_SCENE_H
#define TC_SCENE_H

#include "core/engine.h"
#include "fixture.h"

#define TIMEOUT 30.0 /* seconds of a run that says nothing else */
#define PLAIN ((tc_engine_options){.forced = false})
#define FORCED ((tc_engine_options){.forced = true})
/* With a cache that has no lock. */
#define BARE ((tc_engine_options){.lockless = true})

static struct {
  tc_client client;
  tc_engine engine;
  tc_action action; /* what the engine asks for */
  tc_clocks clocks;
  bool lost; /* the engine went another way than the test: the rest says nothing */
} scene;

static inline const char *action_name(tc_action action) {
  static const char *const names[] = {
      [TC_ACTION_LOAD] = "LOAD",           [TC_ACTION_LOCK] = "LOCK",
      [TC_ACTION_DISCOVER] = "DISCOVER",   [TC_ACTION_SLEEP] = "SLEEP",
      [TC_ACTION_PROBE] = "PROBE",         [TC_ACTION_SAVE] = "SAVE",
      [TC_ACTION_REQUEST] = "REQUEST",     [TC_ACTION_REMOVE] = "REMOVE",
      [TC_ACTION_UNLOCK] = "UNLOCK",       [TC_ACTION_RETURN] = "RETURN",
      [TC_ACTION_AUTHORIZE] = "AUTHORIZE", [TC_ACTION_FAIL] = "FAIL"};
  return names[action];
}

/* Takes the client over. */
static inline void begin_as(tc_client client, tc_engine_options options) {
  scene.client = client;
  scene.engine = TC_ENGINE_EMPTY;
  scene.clocks = (tc_clocks){NOW, 100};
  scene.lost = false;
  if (options.timeout == 0) options.timeout = TIMEOUT;
  scene.action = tc_engine_start(&scene.engine, &scene.client, &options, scene.clocks);
}

/* A run of a flow without users. */
static inline void begin(tc_engine_options options) {
  tc_client_config config = fixture_config();
  begin_as(fixture_client(&config), options);
}

/* One of a flow whose tokens are logins. */
static inline void begin_user(tc_engine_options options) {
  tc_client_config config = fixture_config();
  begin_as(fixture_user_client(&config), options);
}

static inline void end(void) {
  tc_engine_free(&scene.engine);
  tc_client_free(&scene.client);
}

static inline void pass(double seconds) {
  scene.clocks.now += seconds;
  scene.clocks.monotonic += seconds;
}

static inline double seconds_passed(void) {
  return scene.clocks.monotonic - 100;
}

static inline bool is_at(tc_action want, const char *file, int line) {
  if (scene.lost) return false;
  scene.lost = !test_check(scene.action == want, file, line, "the engine asks for another action");
  if (scene.lost) {
    printf("#   got  %s\n#   want %s\n", action_name(scene.action), action_name(want));
    if (scene.action == TC_ACTION_FAIL) printf("#   %s\n", scene.engine.error.message);
  }
  return !scene.lost;
}

static inline void step(tc_action want, tc_result result, const char *file, int line) {
  if (!is_at(want, file, line)) return;
  if (want == TC_ACTION_SLEEP) pass(scene.engine.seconds);
  result.clocks = scene.clocks;
  scene.action = tc_engine_resume(&scene.engine, &result);
}

/* The engine asks for `ACTION`; `result` comes of it. */
#define STEP(ACTION, result) step(TC_ACTION_##ACTION, (result), __FILE__, __LINE__)
#define IS_AT(ACTION) is_at(TC_ACTION_##ACTION, __FILE__, __LINE__)

/* What may come of an action. */
#define OK ((tc_result){.outcome = TC_OK})
#define NONE ((tc_result){.outcome = TC_NONE})
#define FAILED ((tc_result){.outcome = TC_FAILED})
#define BUSY NONE
#define FOUND(info) ((tc_result){.outcome = TC_OK, .token = &(info)})
#define ANSWERED(answer) ((tc_result){.outcome = TC_OK, .response = &(answer)})
#define BROKE(err) ((tc_result){.outcome = TC_FAILED, .error = &(err)})
#define UNSENT(err) ((tc_result){.outcome = TC_FAILED, .error = &(err), .unsent = true})
#define LOGGED_IN                                                                                  \
  ((tc_result){                                                                                    \
      .outcome = TC_OK,                                                                            \
      .credential = {.code = TC_STR("the code"), .redirect_uri = TC_STR("http://127.0.0.1/")}})

/* It finds something in the cache, takes the lock, and looks again. */
#define LOAD_LOCK_LOAD(found, again)                                                               \
  do {                                                                                             \
    STEP(LOAD, found);                                                                             \
    STEP(LOCK, OK);                                                                                \
    STEP(LOAD, again);                                                                             \
  } while (0)

/* It is about to renew `cached`, under the lock. */
static inline void begin_renewing(const tc_token *cached, tc_engine_options options) {
  begin_user(options);
  LOAD_LOCK_LOAD(FOUND(*cached), FOUND(*cached));
  STEP(PROBE, OK);
  (void)IS_AT(REQUEST);
}

/* The request's body. */
#define SENDS(text)                                                                                \
  do {                                                                                             \
    if (IS_AT(REQUEST)) CHECK_STR(tc_buf_str(&scene.engine.request.body), TC_STR(text));           \
  } while (0)
#define RENEWS(encoded_token) SENDS("grant_type=refresh_token&refresh_token=" encoded_token)

/* The end: a token of that origin, or an error of that number. */
#define RETURNS(want, from)                                                                        \
  do {                                                                                             \
    if (!IS_AT(RETURN)) break;                                                                     \
    CHECK_STR(scene.engine.best.token.access_token, TC_STR(want));                                 \
    CHECK_NUM(scene.engine.best.origin, (from));                                                   \
  } while (0)
#define FAILS(want)                                                                                \
  do {                                                                                             \
    if (!IS_AT(FAIL)) break;                                                                       \
    if (!CHECK_NUM(scene.engine.error.number, (want)))                                             \
      printf("#   %s\n", scene.engine.error.message);                                              \
  } while (0)

static inline tc_error an_error(int number) {
  tc_error err = TC_ERROR_NONE;
  (void)tc_error_set(&err, number, NULL);
  return err;
}

#endif
