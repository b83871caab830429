/* Random walks: whatever comes of the actions, the engine keeps its promises and its table has a
   row for every event. The source is included for the sake of what makes the events. */
#include "core/engine.c" /* NOLINT(bugprone-suspicious-include) */
#include "fixture.h"

#include <inttypes.h>

#define STEPS 100000

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

/* Counts the row of an event; every event the engine produces must have one. */
static bool visit(tc_state from, tc_event on) {
  for (size_t i = 0; i < tc_transition_count; i++) {
    if (tc_transitions[i].from != from || tc_transitions[i].on != on) continue;
    visits[i]++;
    return true;
  }
  printf("#   no row for state %d, event %d\n", (int)from, (int)on);
  return false;
}

typedef struct walk {
  tc_client client;
  tc_engine engine;
  tc_clocks clocks;
  tc_token cached; /* as last loaded, where it was fit */
  bool forced, unsaved, lock_held, must_save, answered, logged_in;
  unsigned requests, steps;
} walk;

/* Strings live in static storage: a token may outlive the step that drew it. */
static tc_token draw_token(const walk *w) {
  static const char *const access[] = {"t1", "t2", "t3"};
  static const char *const refresh[] = {"", "r1", "r2", "r3"};
  static const int left[] = {-100, -1, 5, 59, 61, 3600};
  tc_token token = fixture_token(access[draw(3)], 0);
  token.expires_at = chance(5) ? TC_TIME_UNKNOWN : (int64_t)w->clocks.now + left[draw(6)];
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
  config.flow = tc_str_of(flows[chance(40) ? 0 : chance(70) ? 1 : 2]);
  return fixture_client(&config);
}

static tc_outcome draw_outcome(uint32_t ok_percent) {
  if (chance(ok_percent)) return TC_OK;
  return chance(50) ? TC_NONE : TC_FAILED;
}

/* Beside an unsaved token a cached one of unknown end may be passed over: it may be the older. */
static bool is_needless(const walk *w) {
  bool older = w->unsaved && w->cached.expires_at == TC_TIME_UNKNOWN;
  return !w->forced && !older && !w->logged_in && tc_token_exists(&w->cached) &&
         tc_client_judge(&w->client, &w->cached, w->clocks.now) == TC_FIT;
}

/* What the walk knows to be wrong about an action, or NULL. */
static const char *judge_action(const walk *w, tc_action action) {
  if (w->must_save && action != TC_ACTION_SAVE) return "what was answered is saved next";
  if (w->engine.rotated && action == TC_ACTION_REQUEST)
    return "a bad answer is not asked for again";
  if (w->logged_in && action == TC_ACTION_LOAD) return "a login is not given up for the cache";
  switch (action) {
  case TC_ACTION_LOCK:
    if (w->lock_held) return "a lock is taken once";
    return w->engine.seconds >= LOCK_MARGIN ? NULL : "a lock has a life";
  case TC_ACTION_UNLOCK:
    return w->lock_held ? NULL : "only a lock that is held is released";
  case TC_ACTION_AUTHORIZE:
    return w->lock_held ? "nobody waits for a person" : NULL;
  case TC_ACTION_SLEEP:
    return w->engine.seconds >= 0 ? NULL : "a sleep is not negative";
  case TC_ACTION_REQUEST:
    if (w->logged_in && w->engine.renewing) return "a login is exchanged, not renewed";
    if (w->requests == 3) return "there are at most three requests";
    if (is_needless(w)) return "a fit cached token makes a request needless";
    return tc_engine_time_left(&w->engine) > 0 ? NULL : "a request has time to run";
  case TC_ACTION_RETURN:
    if (w->answered && !tc_str_equal(w->engine.token.access_token, TC_STR("answered"))) {
      return "the token obtained is the one returned";
    }
    if (w->lock_held) return "the lock is released before the end";
    return tc_token_exists(&w->engine.token) ? NULL : "there is a token to return";
  case TC_ACTION_FAIL:
    if (w->answered) return "a token obtained is returned";
    if (w->lock_held) return "the lock is released before the end";
    return w->engine.error.number != 0 ? NULL : "a failure says why";
  default:
    return NULL;
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

  if (action == TC_ACTION_LOAD) {
    bool fit =
        result.outcome == TC_OK && tc_client_judge(&w->client, &token, w->clocks.now) == TC_FIT;
    w->cached = fit ? token : TC_TOKEN_NONE;
  }
  if (action == TC_ACTION_LOCK) {
    result.outcome = draw_outcome(40);
    w->lock_held = result.outcome == TC_OK;
  }
  if (action == TC_ACTION_UNLOCK) w->lock_held = false;
  if (action == TC_ACTION_REQUEST && result.outcome == TC_NONE && !w->lock_held) {
    result.outcome = TC_FAILED;
  }
  if (action == TC_ACTION_AUTHORIZE) {
    if (result.outcome == TC_NONE) result.outcome = TC_FAILED;
    result.credential.code = TC_STR("code");
    if (w->client.acquire == NULL) response = draw_fragment();
  }
  if (action == TC_ACTION_REQUEST && result.outcome != TC_NONE) w->requests++;

  tc_state from = w->engine.state;
  tc_event event = interpret(&w->engine, &result);
  CHECK(visit(from, event));
  w->must_save = from == TC_STATE_REQUESTING && event == EV_UNSAVED;
  w->logged_in = w->logged_in || (from == TC_STATE_AUTHORIZING && event != EV_ERROR);
  w->answered =
      w->answered || (w->must_save && !w->engine.rotated) || (w->logged_in && event == EV_UNSAVED);
  bool ready = tc_transition_from(from, event) == TC_STATE_REQUESTING;
  tc_action next = advance(&w->engine, event);
  if (ready && next != TC_ACTION_REQUEST) (void)visit(TC_STATE_REQUESTING, EV_ERROR);
  return next;
}

static bool run_to_the_end(walk *w, tc_engine_options options) {
  tc_action action = tc_engine_start(&w->engine, &w->client, &options, w->clocks);
  (void)visit(TC_STATE_STARTING, options.authorized ? EV_LOGIN : EV_OK);
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
  uint64_t start = seed;
  walk w = {.engine = TC_ENGINE_EMPTY,
            .cached = TC_TOKEN_NONE,
            .clocks = {NOW, 100},
            .forced = chance(20)};
  w.client = draw_client();
  tc_engine_options options = {.timeout = draw(60), .forced = w.forced};
  tc_token memory = draw_token(&w);
  memory.client_id = TC_STR_NONE;
  memory.scope = TC_STR("a b");
  if (!w.client.has_user) memory.refresh_token = TC_STR_NONE;
  if (chance(30)) options.memory = &memory;
  if (w.client.has_user && chance(10)) options.authorized = true;
  w.unsaved = options.memory != NULL;
  if (!CHECK(run_to_the_end(&w, options))) printf("#   its seed: %" PRIu64 "\n", start);
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
  }
}

/* Without the way through UNLOCKING nothing that follows RELOADING reaches the end. */
static void test_under_a_lock_the_only_way_out_is_unlocking(void) {
  bool reached[TC_STATE_ENDED + 1] = {[TC_STATE_RELOADING] = true};
  for (size_t round = 0; round < tc_transition_count; round++) {
    for (size_t i = 0; i < tc_transition_count; i++) {
      if (reached[tc_transitions[i].from] && tc_transitions[i].from != TC_STATE_UNLOCKING) {
        reached[tc_transitions[i].to] = true;
      }
    }
  }
  CHECK(reached[TC_STATE_UNLOCKING] && reached[TC_STATE_REMOVING]);
  CHECK(!reached[TC_STATE_ENDED] && !reached[TC_STATE_LOCKING] && !reached[TC_STATE_LOADING]);
}

int main(void) {
  RUN(test_random_walks_keep_the_promises);
  RUN(test_the_walks_took_every_row);
  RUN(test_no_event_has_two_rows);
  RUN(test_under_a_lock_the_only_way_out_is_unlocking);
  return done();
}
