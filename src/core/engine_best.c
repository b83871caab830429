#include "core/engine_best.h"

#define JUST_ISSUED 5.0 /* seconds: a token refused so young is not worth another one */

tc_event tc_engine_fail(tc_engine *engine, int number, const char *message) {
  tc_error_clear(&engine->error);
  (void)tc_error_set(&engine->error, number, "%s", message);
  return EV_ERROR;
}

void tc_best_forget(tc_engine *engine) {
  tc_token_clear(&engine->best.token);
  engine->best.origin = TC_FROM_NOWHERE;
}

tc_event tc_best_adopt(tc_engine *engine, const tc_token *token, tc_origin origin) {
  bool is_same = tc_str_equal(token->refresh_token, engine->best.token.refresh_token);
  if (tc_token_assign(&engine->best.token, token, &engine->error) != 0) return EV_ERROR;
  if (!is_same) engine->request.repeated = false; /* that was another renewal */
  engine->best.origin = origin;
  tc_error_clear(&engine->error);
  return EV_OK;
}

bool tc_best_is_refused(const tc_engine *engine, const tc_token *token) {
  tc_str refused = tc_buf_str(&engine->wanted.refused);
  return refused.len > 0 && tc_str_equal(token->access_token, refused);
}

tc_fitness tc_best_judge(const tc_engine *engine, const tc_token *token) {
  const tc_client *client = engine->client;
  double now = engine->clocks.now;
  tc_fitness fitness = tc_client_judge(client, token, now);
  if (fitness <= TC_EXPIRING && tc_best_is_refused(engine, token)) return TC_EXPIRED;
  tc_window window = tc_token_window(token, client->leeway);
  window.until -= engine->wanted.earlier;
  return fitness == TC_FIT && !tc_window_holds(window, now) ? TC_EXPIRING : fitness;
}

bool tc_best_still_works(const tc_engine *engine) {
  return !engine->wanted.forced && tc_token_exists(&engine->best.token) &&
         tc_best_judge(engine, &engine->best.token) <= TC_EXPIRING;
}

bool tc_best_renews(const tc_engine *engine) {
  return engine->client->renew != NULL && engine->login.code.len == 0 &&
         engine->best.token.refresh_token.len > 0;
}

bool tc_best_is_hopeless(tc_engine *engine) {
  const tc_token *token = &engine->best.token;
  if (!tc_best_is_refused(engine, token) || token->expires_at == TC_TIME_UNKNOWN ||
      token->expires_in == TC_TIME_UNKNOWN) {
    return false;
  }
  double age = engine->clocks.now - (double)(token->expires_at - token->expires_in);
  if (age <= -JUST_ISSUED || age >= JUST_ISSUED) return false;
  (void)tc_engine_fail(
      engine, TC_ERR_DENIED,
      "the API refuses a token that was issued a moment ago; another would not help");
  return true;
}

tc_event tc_best_verdict(tc_engine *engine) {
  if (!engine->wanted.forced && tc_token_exists(&engine->best.token) &&
      tc_best_judge(engine, &engine->best.token) == TC_FIT) {
    return EV_FIT;
  }
  if (tc_best_renews(engine) || !engine->client->has_user) return EV_NEEDED;
  return tc_best_is_hopeless(engine) ? EV_ERROR : EV_LOGIN;
}

bool tc_best_is_elsewhere(const tc_engine *engine, const tc_token *other) {
  const tc_token *given = &engine->best.token;
  if (engine->best.origin != TC_FROM_GIVEN) return false;
  if (tc_str_equal(other->refresh_token, given->refresh_token)) return false;
  return given->authorized_at == TC_TIME_UNKNOWN || other->authorized_at != given->authorized_at ||
         other->expires_at < given->expires_at;
}

bool tc_best_needs_no_cache(const tc_engine *engine) {
  return engine->wanted.forced && !engine->client->has_user;
}

static tc_event on_found(tc_engine *engine, const tc_token *cached) {
  if (tc_client_shuns(engine->client, cached)) {
    return tc_engine_fail(
        engine, TC_ERR_CONFIG,
        "the cache holds a user's login (it has a refresh_token), which this flow will "
        "neither use nor overwrite; give the flow a cache of its own");
  }
  if (tc_best_needs_no_cache(engine)) return EV_NEEDED;
  if (tc_best_is_elsewhere(engine, cached)) return tc_best_verdict(engine);
  if (tc_best_judge(engine, cached) == TC_UNFIT) {
    if (engine->best.origin == TC_FROM_CACHE) tc_best_forget(engine);
    return tc_best_verdict(engine);
  }
  return tc_best_adopt(engine, cached, TC_FROM_CACHE) == EV_ERROR ? EV_ERROR
                                                                  : tc_best_verdict(engine);
}

tc_event tc_best_on_loaded(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_OK) return on_found(engine, result->token);
  if (result->outcome == TC_NONE && engine->best.origin == TC_FROM_CACHE) tc_best_forget(engine);
  bool insists = engine->best.origin == TC_FROM_GIVEN && engine->wanted.forced;
  bool does_without = engine->wanted.forced && engine->state == TC_STATE_LOADING;
  if (result->outcome == TC_FAILED && engine->client->has_user && !insists && !does_without) {
    /* a login may be there: asking for another because the cache is away would be wrong, and so
       would renewing one read earlier, which another process may have renewed since */
    return tc_engine_fail(engine, TC_ERR_CACHE, "the cache could not be read");
  }
  return tc_best_verdict(engine);
}

tc_event tc_best_on_reloaded(tc_engine *engine, const tc_result *result) {
  tc_event event = tc_best_on_loaded(engine, result);
  if (event != EV_LOGIN) return event;
  return tc_engine_fail(
      engine, TC_ERR_REAUTHORIZE,
      "the login ended while another process was renewing it; the user must log in again");
}
