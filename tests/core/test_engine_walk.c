/* Random walks: whatever comes of the actions, the engine keeps its promises and its table has a
   row for every event. The source is included so that each step through the table is seen. */
#include "core/transition.h"

static tc_state seen_transition(tc_state from, tc_event on);
#define tc_transition_from seen_transition
#include "core/engine.c" /* NOLINT(bugprone-suspicious-include) */
#undef tc_transition_from

#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define STEPS 400000
#define REQUEST_TIME 10.0

static uint64_t seed = 1;

static uint32_t draw(uint32_t below) {
  seed ^= seed << 13; /* xorshift64 */
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 33) % below;
}

static bool chance(uint32_t percent) {
  return draw(100) < percent;
}

#define MOST_ROWS 64
static unsigned visits[MOST_ROWS];
static tc_event last_event;

/* Counts the row of an event; every event that the engine produces must have one. */
static tc_state seen_transition(tc_state from, tc_event on) {
  last_event = on;
  for (size_t i = 0; i < tc_transition_count; i++) {
    if (tc_transitions[i].from != from || tc_transitions[i].on != on) continue;
    visits[i]++;
    return tc_transitions[i].to;
  }
  CHECK(!"an event has a row");
  printf("#   state %d, event %d\n", (int)from, (int)on);
  return TC_STATE_ENDED;
}

typedef struct walk {
  tc_client client;
  tc_engine engine;
  tc_clocks clocks;
  tc_token cached; /* as last loaded, where it was fit */
  tc_str refused;
  double begun; /* the deadline of the renewal that was begun */
  bool forced, lockless, given;
  bool lock_held, lock_failed, probed, must_save, answered, denied, logged_in, again;
  unsigned requests, repetitions, steps;
} walk;

/* Strings live in static storage: a token may outlive the step that drew it. */
static tc_token draw_token(const walk *w) {
  static const char *const access[] = {"t1", "t2", "t3", "answered"};
  static const char *const refresh[] = {"", "r1", "r2", "r3"};
  static const int left[] = {-100, -1, 5, 59, 61, 3600};
  tc_token token = fixture_token(access[draw(4)], 0);
  int age = chance(50) ? 2 : 1000;
  token.expires_at = chance(5) ? TC_TIME_UNKNOWN : (int64_t)w->clocks.now + left[draw(6)];
  if (token.expires_at != TC_TIME_UNKNOWN && chance(30)) {
    token.expires_in = token.expires_at - (int64_t)w->clocks.now + age;
  }
  if (w->client.has_user || chance(3)) token.refresh_token = tc_str_of(refresh[draw(4)]);
  if (chance(5)) token.client_id = TC_STR("another");
  if (chance(5)) token.scope = TC_STR("a");
  return token;
}

static tc_token_response draw_response(void) {
  static const char *const codes[] = {"invalid_grant", "invalid_client", "server_error", "odd"};
  static const int statuses[] = {200, 302, 400, 401, 429, 500, 503};
  if (chance(50)) {
    tc_token_response answer = fixture_answer("answered");
    if (chance(50)) answer.refresh_token = text_value("r4");
    if (chance(10)) answer.token_type = text_value("mac");
    if (chance(20)) answer.scope = text_value("a");
    if (chance(20)) answer.expires_in = number_value(chance(50) ? 5 : -5);
    return answer;
  }
  tc_token_response refusal =
      chance(60) ? fixture_refusal(statuses[draw(7)], codes[chance(60) ? 0 : draw(4)])
                 : fixture_status(statuses[draw(7)]);
  if (chance(20)) refusal.retry_after = draw(40);
  return refusal;
}

/* What an implicit login ends with: there is no status, and seldom no token. */
static tc_token_response draw_fragment(void) {
  tc_token_response answer = fixture_answer("answered");
  if (chance(20)) answer.token_type = text_value("mac");
  return answer;
}

static tc_client draw_client(void) {
  tc_client_config config = fixture_config();
  static const char *const flows[] = {"client_credentials", "authorization_code", "implicit"};
  config.flow = tc_str_of(flows[chance(30) ? 0 : chance(85) ? 1 : 2]);
  config.reuses = chance(20);
  if (chance(20)) config.issuer = TC_STR("https://id.example");
  return fixture_client(&config);
}

static tc_outcome draw_outcome(uint32_t ok_percent) {
  if (chance(ok_percent)) return TC_OK;
  return chance(50) ? TC_NONE : TC_FAILED;
}

static bool is_refused(const walk *w, tc_str access_token) {
  return w->refused.len > 0 && tc_str_equal(access_token, w->refused);
}

static bool is_needless(const walk *w) {
  return !w->forced && !w->given && !w->logged_in && tc_token_exists(&w->cached) &&
         !is_refused(w, w->cached.access_token) &&
         tc_client_judge(&w->client, &w->cached, w->clocks.now) == TC_FIT;
}

/* What is wrong about a request that spends a refresh token, or NULL. */
static const char *judge_renewal(const walk *w) {
  double time = w->engine.request.deadline - w->clocks.monotonic;
  double left = tc_engine_time_left(&w->engine);
  bool first = !w->engine.request.repeated;
  if (w->logged_in) return "a login is exchanged, not renewed";
  if (first && left <= 0) return "no renewal is begun after the deadline";
  if (first && time < REQUEST_TIME - 1e-6) return "a renewal has the time that a request takes";
  if (!first && w->engine.request.deadline != w->begun) return "a repetition has the first's time";
  if (w->client.reuses) return NULL;
  if (w->lock_failed) return "nothing is spent without the lock";
  if (!w->lockless && !w->lock_held) return "a refresh token is spent under the lock";
  return w->probed ? NULL : "nothing is spent that cannot be replaced";
}

static const char *judge_request(const walk *w) {
  const char *wrong = w->engine.request.renewing ? judge_renewal(w) : NULL;
  if (wrong != NULL) return wrong;
  if (w->requests == 3) return "there are at most three requests, and repetitions";
  if (is_needless(w)) return "a fit cached token makes a request needless";
  if (w->client.token_url == NULL) return "a request has somewhere to go";
  return w->engine.request.deadline > w->clocks.monotonic ? NULL : "a request has time to run";
}

static const char *judge_end(const walk *w, bool returns) {
  tc_str access_token = w->engine.best.token.access_token;
  if (w->lock_held) return "the lock is released before the end";
  if (!returns && w->answered && !w->denied) return "a token obtained is returned";
  if (!returns) return w->engine.error.number != 0 ? NULL : "a failure says why";
  if (w->denied) return "a token that the API refuses is not returned";
  if (access_token.len == 0) return "there is a token to return";
  if (is_refused(w, access_token)) return "a token that the API refuses never serves";
  bool is_answer = tc_str_equal(access_token, TC_STR("answered"));
  return w->answered && !is_answer ? "the token obtained is the one returned" : NULL;
}

/* What the walk knows to be wrong about an action, or NULL. */
static const char *judge_action(const walk *w, tc_action action) {
  if (w->must_save && action != TC_ACTION_SAVE) return "what was answered is saved next";
  if (w->again && action != TC_ACTION_REQUEST) return "what is sent again is sent at once";
  if (w->engine.request.rotated && action == TC_ACTION_REQUEST) {
    return "a bad answer is not asked for again";
  }
  if (w->logged_in && action == TC_ACTION_LOAD) return "a login is not given up for the cache";
  switch (action) {
  case TC_ACTION_LOCK:
    if (w->lockless) return "what is not there is not asked for";
    if (w->lock_held) return "a lock is taken once";
    return w->engine.seconds >= LOCK_MARGIN ? NULL : "a lock has a life";
  case TC_ACTION_UNLOCK:
    return w->lock_held ? NULL : "only a lock that is held is released";
  case TC_ACTION_AUTHORIZE:
    return w->lock_held ? "nobody waits for a person" : NULL;
  case TC_ACTION_DISCOVER:
    if (!w->client.discovers) return "what is known is not asked for";
    return w->lock_held ? "nobody waits for a document" : NULL;
  case TC_ACTION_SLEEP:
    return w->engine.seconds >= 0 ? NULL : "a sleep is not negative";
  case TC_ACTION_PROBE:
    if (w->client.reuses) return "what need not be shown is not asked for";
    return tc_best_renews(&w->engine) ? NULL : "what spends nothing needs no probe";
  case TC_ACTION_REQUEST:
    return judge_request(w);
  case TC_ACTION_RETURN:
  case TC_ACTION_FAIL:
    return judge_end(w, action == TC_ACTION_RETURN);
  default:
    return NULL;
  }
}

/* Notes what the walk's own memory needs of an action's result. */
static void note(walk *w, tc_action action, const tc_result *result) {
  switch (action) {
  case TC_ACTION_LOAD: {
    bool fit = result->outcome == TC_OK &&
               tc_client_judge(&w->client, result->token, w->clocks.now) == TC_FIT;
    w->cached = fit ? *result->token : TC_TOKEN_NONE;
    w->probed = false; /* for what was read now */
    break;
  }
  case TC_ACTION_LOCK:
    w->lock_held = result->outcome == TC_OK;
    w->lock_failed = result->outcome == TC_FAILED;
    w->probed = false;
    break;
  case TC_ACTION_UNLOCK:
    w->lock_held = false;
    break;
  case TC_ACTION_PROBE:
    w->probed = result->outcome == TC_OK;
    break;
  case TC_ACTION_REQUEST:
    w->begun = w->engine.request.deadline;
    if (result->outcome != TC_NONE) w->requests++;
    break;
  default:
    break;
  }
}

/* Carries the action out as badly as chance has it, and resumes. */
static tc_action carry_out(walk *w, tc_action action) {
  tc_token token = draw_token(w);
  tc_token_response response = draw_response();
  tc_error error = TC_ERROR_NONE;
  tc_result result = {.outcome = draw_outcome(70), .token = &token, .response = &response};
  double passed = action == TC_ACTION_SLEEP ? w->engine.seconds : draw(100) * 0.01;
  if (chance(2)) passed += draw(40);
  w->clocks.monotonic += passed;
  w->clocks.now += passed + (chance(2) ? -200.0 : 0);
  (void)tc_error_set(&error, chance(80) ? TC_ERR_CONNECT : TC_ERR_TLS, NULL);
  result.error = &error;
  result.unsent = chance(50);
  result.clocks = w->clocks;
  if (action == TC_ACTION_LOCK) {
    result.outcome = draw_outcome(50);
    if (chance(50)) result.error = NULL;
  }
  if (action == TC_ACTION_PROBE && chance(20)) result.outcome = TC_NONE;
  if (action == TC_ACTION_DISCOVER) {
    result.outcome = chance(80) ? TC_OK : TC_FAILED;
    if (result.outcome == TC_OK) {
      tc_client_set_endpoint(&w->client, TC_STR(ENDPOINT), &error);
    }
  }
  if (action == TC_ACTION_REQUEST && result.outcome == TC_NONE && !w->lock_held) {
    result.outcome = TC_FAILED;
  }
  if (action == TC_ACTION_AUTHORIZE) {
    result.credential.code = TC_STR("code");
    response = draw_fragment();
    if (w->client.acquire != NULL && chance(80)) result.response = NULL;
  }
  note(w, action, &result);

  tc_state from = w->engine.state;
  tc_event event = interpret(&w->engine, &result);
  w->must_save = from == TC_STATE_REQUESTING && event == EV_UNSAVED;
  w->again = event == EV_AGAIN;
  if (w->again) w->requests--;
  w->logged_in =
      w->logged_in || (from == TC_STATE_AUTHORIZING && event != EV_ERROR && event != EV_NEWS);
  w->answered = w->answered || (w->must_save && !w->engine.request.rotated) ||
                (w->logged_in && event == EV_UNSAVED);
  w->denied = w->answered && is_refused(w, TC_STR("answered"));
  return advance(&w->engine, event);
}

static bool run_to_the_end(walk *w, const tc_engine_options *options) {
  tc_action action = tc_engine_start(&w->engine, &w->client, options, w->clocks);
  for (;;) {
    const char *wrong = judge_action(w, action);
    if (wrong != NULL) {
      printf("#   %s (step %u, action %d)\n", wrong, w->steps, (int)action);
      return false;
    }
    if (action == TC_ACTION_RETURN || action == TC_ACTION_FAIL) return true;
    if (++w->steps > 2000) {
      printf("#   the run does not end\n");
      return false;
    }
    action = carry_out(w, action);
  }
}

static unsigned walk_once(void) {
  static const char *const refused[] = {"t1", "t2", "answered"};
  uint64_t start = seed;
  walk w = {.engine = TC_ENGINE_EMPTY,
            .cached = TC_TOKEN_NONE,
            .clocks = {NOW, 100},
            .forced = chance(20),
            .lockless = chance(15)};
  w.client = draw_client();
  if (chance(30)) w.refused = tc_str_of(refused[draw(3)]);
  tc_token given = fixture_login("given", "r9", chance(50) ? -1 : 30);
  tc_engine_options options = {.timeout = draw(60),
                               .request_time = REQUEST_TIME,
                               .forced = w.forced,
                               .lockless = w.lockless,
                               .refused = w.refused};
  w.given = w.client.renew != NULL && chance(10);
  if (w.given) options.given = &given;
  if (w.client.has_user && chance(10)) options.authorized = true;
  if (!CHECK(run_to_the_end(&w, &options))) printf("#   its seed: %" PRIu64 "\n", start);
  tc_engine_free(&w.engine);
  tc_client_free(&w.client);
  return w.steps;
}

static void test_random_walks_keep_the_promises(void) {
  unsigned steps = 0, walks = 0;
  for (; steps < STEPS && failed_checks == 0; walks++) steps += walk_once();
  printf("# %u steps in %u walks\n", steps, walks);
}

/* After the walks. Starting fails only without memory, which test_no_memory shows. */
static void test_the_walks_took_every_row(void) {
  CHECK(tc_transition_count <= MOST_ROWS);
  for (size_t i = 0; i < tc_transition_count; i++) {
    if (tc_transitions[i].from == TC_STATE_STARTING && tc_transitions[i].on == EV_ERROR) continue;
    if (!CHECK(visits[i] > 0)) {
      printf("#   row %zu: state %d, event %d\n", i, (int)tc_transitions[i].from,
             (int)tc_transitions[i].on);
    }
  }
}

static void test_no_event_has_two_rows(void) {
  for (size_t i = 0; i < tc_transition_count; i++) {
    for (size_t j = 0; j < i; j++) {
      CHECK(tc_transitions[i].from != tc_transitions[j].from ||
            tc_transitions[i].on != tc_transitions[j].on);
    }
    CHECK_NUM(tc_transition_from(tc_transitions[i].from, tc_transitions[i].on),
              tc_transitions[i].to);
  }
}

/* Whether `to` can be reached from `from` without the way through `avoided`. */
static bool is_reached(tc_state from, tc_state to, tc_state avoided) {
  bool reached[TC_STATE_ENDED + 1] = {[TC_STATE_STARTING] = false};
  reached[from] = true;
  for (size_t round = 0; round < tc_transition_count; round++) {
    for (size_t i = 0; i < tc_transition_count; i++) {
      if (reached[tc_transitions[i].from] && tc_transitions[i].from != avoided) {
        reached[tc_transitions[i].to] = true;
      }
    }
  }
  return reached[to];
}

static void test_under_a_lock_the_only_way_out_is_unlocking(void) {
  CHECK(is_reached(TC_STATE_RELOADING, TC_STATE_UNLOCKING, TC_STATE_UNLOCKING));
  CHECK(is_reached(TC_STATE_RELOADING, TC_STATE_REMOVING, TC_STATE_UNLOCKING));
  CHECK(!is_reached(TC_STATE_RELOADING, TC_STATE_ENDED, TC_STATE_UNLOCKING));
  CHECK(!is_reached(TC_STATE_RELOADING, TC_STATE_LOCKING, TC_STATE_UNLOCKING));
  CHECK(!is_reached(TC_STATE_RELOADING, TC_STATE_LOADING, TC_STATE_UNLOCKING));
  CHECK(!is_reached(TC_STATE_RELOADING, TC_STATE_LOOKING, TC_STATE_UNLOCKING));
}

static void test_no_request_goes_past_the_probe(void) {
  CHECK(is_reached(TC_STATE_STARTING, TC_STATE_REQUESTING, TC_STATE_ENDED));
  CHECK(!is_reached(TC_STATE_STARTING, TC_STATE_REQUESTING, TC_STATE_PROBING));
}

static void test_an_event_without_a_row_is_a_mistake(void) {
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    (void)fclose(stderr);
    (void)tc_transition_from(TC_STATE_ENDED, EV_FIT);
    _exit(0);
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
  RUN(test_random_walks_keep_the_promises);
  RUN(test_the_walks_took_every_row);
  RUN(test_no_event_has_two_rows);
  RUN(test_an_event_without_a_row_is_a_mistake);
  RUN(test_under_a_lock_the_only_way_out_is_unlocking);
  RUN(test_no_request_goes_past_the_probe);
  return done();
}
