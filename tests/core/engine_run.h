/* Plays the driver: checks which action the engine asks for, and says what came of it. */
#ifndef TC_ENGINE_RUN_H
#define TC_ENGINE_RUN_H

#include "core/engine.h"
#include "fixture.h"

#define TIMEOUT 30.0
#define PLAIN ((tc_engine_options){.forced = false})
#define FORCED ((tc_engine_options){.forced = true})

typedef struct run {
  tc_client client;
  tc_engine engine;
  tc_action action;
  tc_clocks clocks;
  bool lost; /* the engine went another way than the test: the rest says nothing */
} run;

static inline const char *action_name(tc_action action) {
  static const char *const names[] = {
      [TC_ACTION_LOAD] = "LOAD",     [TC_ACTION_LOCK] = "LOCK",
      [TC_ACTION_SLEEP] = "SLEEP",   [TC_ACTION_REQUEST] = "REQUEST",
      [TC_ACTION_SAVE] = "SAVE",     [TC_ACTION_REMOVE] = "REMOVE",
      [TC_ACTION_UNLOCK] = "UNLOCK", [TC_ACTION_RETURN] = "RETURN",
      [TC_ACTION_FAIL] = "FAIL",     [TC_ACTION_AUTHORIZE] = "AUTHORIZE"};
  return names[action];
}

/* Takes the client over. */
static inline void run_begin_with(run *r, tc_client client, tc_engine_options options) {
  *r = (run){.client = client, .engine = TC_ENGINE_EMPTY, .clocks = {NOW, 100}};
  if (options.timeout == 0) options.timeout = TIMEOUT;
  r->action = tc_engine_start(&r->engine, &r->client, &options, r->clocks);
}

static inline void run_begin(run *r, tc_engine_options options) {
  tc_client_config config = fixture_config();
  run_begin_with(r, fixture_client(&config), options);
}

static inline void run_begin_user(run *r, tc_engine_options options) {
  tc_client_config config = fixture_config();
  run_begin_with(r, fixture_user_client(&config), options);
}

static inline void run_end(run *r) {
  tc_engine_free(&r->engine);
  tc_client_free(&r->client);
}

static inline void run_pass(run *r, double seconds) {
  r->clocks.now += seconds;
  r->clocks.monotonic += seconds;
}

static inline bool run_is_at(run *r, tc_action want, const char *file, int line) {
  if (r->lost) return false;
  r->lost = !test_check(r->action == want, file, line, "the engine asks for another action");
  if (r->lost) printf("#   got  %s\n#   want %s\n", action_name(r->action), action_name(want));
  return !r->lost;
}

static inline void run_step(run *r, tc_action want, tc_result result, const char *file, int line) {
  if (!run_is_at(r, want, file, line)) return;
  if (want == TC_ACTION_SLEEP) run_pass(r, r->engine.seconds);
  result.clocks = r->clocks;
  r->action = tc_engine_resume(&r->engine, &result);
}

/* The engine asks for `ACTION`; `result` comes of it. */
#define STEP(r, ACTION, result) run_step(&(r), TC_ACTION_##ACTION, (result), __FILE__, __LINE__)
#define IS_AT(r, ACTION) run_is_at(&(r), TC_ACTION_##ACTION, __FILE__, __LINE__)

/* It finds something in the cache, takes the lock, and looks again. */
#define LOAD_LOCK_LOAD(r, found, again)                                                            \
  do {                                                                                             \
    STEP(r, LOAD, found);                                                                          \
    STEP(r, LOCK, DONE);                                                                           \
    STEP(r, LOAD, again);                                                                          \
  } while (0)

/* The end: a token of that origin, or an error of that number. */
#define RETURNS(r, want, from)                                                                     \
  do {                                                                                             \
    if (!IS_AT(r, RETURN)) break;                                                                  \
    CHECK_TEXT((r).engine.token.access_token.data, (want));                                        \
    CHECK_NUM((r).engine.origin, (from));                                                          \
  } while (0)
#define FAILS(r, want)                                                                             \
  do {                                                                                             \
    if (!IS_AT(r, FAIL)) break;                                                                    \
    if (!CHECK_NUM((r).engine.error.number, (want))) printf("#   %s\n", (r).engine.error.message); \
  } while (0)

#define DONE ((tc_result){.outcome = TC_OK})
#define NOTHING ((tc_result){.outcome = TC_NONE})
#define FAILED ((tc_result){.outcome = TC_FAILED})
#define NO_LOCK FAILED
#define BUSY NOTHING
#define FOUND(address) ((tc_result){.outcome = TC_OK, .token = (address)})
#define ANSWER(address) ((tc_result){.outcome = TC_OK, .response = (address)})
#define LOGGED_IN                                                                                  \
  ((tc_result){                                                                                    \
      .outcome = TC_OK,                                                                            \
      .credential = {.code = TC_STR("the code"), .redirect_uri = TC_STR("http://127.0.0.1/")}})
#define BROKE(address) ((tc_result){.outcome = TC_FAILED, .error = (address)})
#define UNSENT(address) ((tc_result){.outcome = TC_FAILED, .error = (address), .unsent = true})

static inline tc_error network_error(void) {
  tc_error err = TC_ERROR_NONE;
  (void)tc_error_set(&err, TC_ERR_NETWORK, NULL);
  return err;
}

#endif
