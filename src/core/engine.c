#include "core/engine.h"

#include <stddef.h>

#include "core/echo.h"
#include "core/engine_best.h"
#include "core/grant.h"
#include "core/scope.h"
#include "core/transition.h"

#define MOST_ATTEMPTS 3
#define MOST_NEWS 3      /* other entries in the cache, found where the one read should be */
#define MOST_LOSSES 3    /* of the lock, each time before the request was sent */
#define FIRST_PAUSE 0.25 /* seconds before the second attempt; doubled for each further one */
#define FIRST_WAIT 0.02  /* seconds before a busy lock is tried again; grows by half */
#define LONGEST_WAIT 0.5
#define SETTLING 0.5    /* seconds for another process to save what it got */
#define LOCK_MARGIN 5.0 /* seconds a lock outlives the last moment of its holder's run */

/* What is to be done with what the login brought: a code to exchange, or the token itself. */
static tc_event after_login(const tc_engine *engine) {
  return engine->login.code.len > 0 ? EV_NEEDED : EV_UNSAVED;
}

/* Another holds the lock. It is waited for as long as the run has time; after a login only for half
   of that, because to lose the login is worse than to go on without the lock. */
static tc_event on_busy(tc_engine *engine) {
  double left = tc_engine_time_left(engine);
  if (engine->login.done) {
    left -= engine->time.timeout / 2;
    if (left <= 0 || engine->lock.sleepless) return after_login(engine);
  } else if (tc_best_still_works(engine)) {
    return EV_FIT;
  } else if (left <= 0) {
    return tc_engine_fail(engine, TC_ERR_TIMEOUT,
                          "the deadline passed while another process was getting the token");
  }
  engine->lock.wait = engine->lock.wait > 0 ? engine->lock.wait * 1.5 : FIRST_WAIT;
  if (engine->lock.wait > LONGEST_WAIT) engine->lock.wait = LONGEST_WAIT;
  engine->seconds = engine->lock.wait < left ? engine->lock.wait : left;
  return EV_BUSY;
}

/* No request was sent: a token that still works is returned all the same. */
static tc_event on_discovered(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_OK) return EV_OK;
  engine->error = *result->error;
  return EV_ERROR;
}

/* What came of trying to lock. Where the lock failed, no refresh token is sent. */
static tc_event on_locked(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_NONE) return on_busy(engine);
  engine->lock.held = result->outcome == TC_OK;
  if (engine->login.done) return after_login(engine);
  if (engine->lock.held) return tc_best_needs_no_cache(engine) ? EV_NEEDED : EV_LOCKED;
  if (result->error != NULL) {
    engine->error = *result->error;
    return EV_ERROR;
  }
  tc_event event = tc_best_verdict(engine);
  if (event != EV_NEEDED || !tc_best_renews(engine) || engine->client->reuses ||
      engine->lock.absent) {
    return event;
  }
  return tc_engine_fail(engine, TC_ERR_CACHE, "the cache's lock failed, so nothing was sent");
}

/* Where sleeping fails, a login goes on without the lock. */
static tc_event on_waited(tc_engine *engine, const tc_result *result) {
  engine->lock.sleepless = result->outcome == TC_FAILED;
  if (engine->login.done) return after_login(engine);
  if (engine->lock.sleepless) engine->error = *result->error;
  return engine->lock.sleepless ? EV_ERROR : EV_OK;
}

static tc_event on_probed(tc_engine *engine, tc_outcome outcome) {
  if (outcome == TC_OK) return EV_OK;
  if (outcome == TC_NONE && engine->request.news++ < MOST_NEWS) return EV_NEWS;
  return tc_engine_fail(
      engine, TC_ERR_CACHE,
      outcome == TC_NONE
          ? "the cache's entry changes all the time, so nothing was sent; the login is intact"
          : "the cache could not take a new token, so nothing was sent; the login is intact");
}

/* Adds to the answered token what the answer does not say. */
static tc_event on_token(tc_engine *engine, tc_token answered) {
  const tc_client *client = engine->client;
  const tc_token *old = &engine->best.token;
  tc_str wanted = tc_str_of(client->scope);
  answered.client_id = tc_str_of(client->client_id);
  answered.grant_digest = tc_str_of(client->grant_digest);
  if (engine->request.renewing) {
    if (answered.refresh_token.len == 0) answered.refresh_token = old->refresh_token;
    if (answered.scope.data == NULL) answered.scope = old->scope;
    answered.authorized_at = old->authorized_at;
  } else if (client->has_user) {
    answered.authorized_at = tc_time_of(engine->clocks.now);
  } else {
    answered.refresh_token = TC_STR_NONE; /* RFC 6749 §4.4.3: there should be none */
  }
  if (answered.scope.data == NULL && wanted.len > 0) answered.scope = wanted;
  if (!tc_scope_is_subset(wanted, answered.scope)) answered.requested_scope = wanted;
  if (tc_best_adopt(engine, &answered, TC_FROM_ANSWER) == EV_ERROR) return EV_ERROR;
  if (tc_best_is_refused(engine, &engine->best.token)) {
    (void)tc_engine_fail(engine, TC_ERR_DENIED,
                         "the server answered with the very access token that the API refuses");
  }
  return EV_UNSAVED;
}

/* After an answer that cannot be used. A new refresh token in it is saved beside the old access
   token before the run ends with that error: the server may have taken the old one back. */
static tc_event on_rotation(tc_engine *engine, tc_str refresh_token) {
  tc_error reason = engine->error;
  tc_token kept = engine->best.token;
  bool is_new = refresh_token.len > 0 && !tc_str_equal(refresh_token, kept.refresh_token);
  if (!is_new || !engine->request.renewing || !tc_token_exists(&kept)) return EV_ERROR;
  kept.refresh_token = refresh_token;
  if (tc_best_adopt(engine, &kept, TC_FROM_ANSWER) == EV_ERROR) return EV_ERROR;
  engine->request.rotated = true;
  engine->error = reason;
  return EV_UNSAVED;
}

/* RFC 9110 §9.2.2: a POST is repeated only where it cannot have been processed. */
static tc_event retry_or_fail(tc_engine *engine, bool unprocessed) {
  engine->request.processed = engine->request.processed || !unprocessed;
  if (!unprocessed || !tc_kind_is_passing(engine->error.kind) ||
      engine->request.attempts >= MOST_ATTEMPTS) {
    return EV_ERROR;
  }
  double pause = FIRST_PAUSE * (double)(1U << (engine->request.attempts - 1));
  if (engine->error.retry_after > pause) pause = engine->error.retry_after; /* clocks differ */
  if (pause >= tc_engine_time_left(engine)) return EV_ERROR;
  engine->seconds = pause;
  return EV_RETRY;
}

/* False: out of memory, and some of the request's secrets may still be there. */
static bool hide_secrets(const tc_engine *engine, char *text, size_t len) {
  return tc_echo_hide(text, len, tc_buf_str(&engine->request.body));
}

static void add_foreign(tc_buf *out, const tc_engine *engine, tc_str text) {
  if (text.len == 0) return;
  tc_buf_add_str(out, text);
  out->failed = out->failed || !hide_secrets(engine, out->data, out->len);
}

/* The server says that the refresh token is dead. Another process may have renewed the login a
   moment ago, and be about to save it: it gets some time for that, also where the lock is held, as
   not every program that shares the cache heeds the lock. */
static tc_event on_dead(tc_engine *engine) {
  double left = engine->request.deadline - engine->clocks.monotonic;
  if (left <= 0) return EV_DEAD;
  engine->seconds = left < SETTLING ? left : SETTLING;
  return EV_SPENT;
}

static tc_event on_response(tc_engine *engine, const tc_token_response *response) {
  tc_token_response shown = *response;
  tc_buf error = TC_BUF_EMPTY, description = TC_BUF_EMPTY;
  tc_token token = TC_TOKEN_NONE;
  add_foreign(&description, engine, response->error_description.string);
  if (!tc_token_response_knows(response->error.string)) { /* "client" may be somebody's secret */
    add_foreign(&error, engine, response->error.string);
    shown.error.string = tc_buf_str(&error);
  }
  shown.error_description.string = tc_buf_str(&description);
  int rc = error.failed || description.failed
               ? tc_error_set(&engine->error, TC_ERR_NOMEM, NULL)
               : tc_token_response_read(&shown, engine->client, engine->clocks.now, &token,
                                        &engine->error);
  tc_buf_free(&error);
  tc_buf_free(&description);
  if (rc == 0) return on_token(engine, token);
  if (rc == TC_ERR_REAUTHORIZE && engine->request.renewing) return on_dead(engine);
  return on_rotation(engine, token.refresh_token);
}

/* Another may be renewing the login by now. */
static tc_event on_lost(tc_engine *engine) {
  engine->request.attempts--;
  if (++engine->lock.losses >= MOST_LOSSES) {
    return tc_engine_fail(engine, TC_ERR_CACHE,
                          "the cache's lock ended again and again before the request could be sent;"
                          " see that its extend_lock returns true while the lock is held");
  }
  engine->lock.ended = true;
  return EV_LOST;
}

static tc_event on_unlocked(tc_engine *engine) {
  bool lost = engine->lock.ended;
  engine->lock.held = engine->lock.ended = false;
  return lost ? EV_LOST : EV_OK;
}

/* Whether the answer to a renewal was lost on its way: the refresh token may be spent, and its
   successor is known to nobody. Providers grant some seconds in which the same token, sent once
   more, brings it. */
static bool is_lost(tc_engine *engine, bool unsent) {
  bool first = !unsent && engine->request.renewing && !engine->request.repeated &&
               tc_kind_is_passing(engine->error.kind) &&
               engine->request.deadline > engine->clocks.monotonic;
  if (!first) return false;
  engine->request.processed = engine->request.repeated = true;
  engine->request.attempts--;
  return true;
}

static void replace(tc_buf *buf, tc_str text) {
  tc_buf_clear(buf);
  tc_buf_add_str(buf, text);
}

static tc_event on_answered(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_NONE) return on_lost(engine);
  if (result->sent.len > 0) replace(&engine->request.body, result->sent);
  if (engine->request.body.failed) return tc_engine_fail(engine, TC_ERR_NOMEM, "");
  if (result->outcome == TC_OK) {
    int status = result->response->status;
    tc_event event = on_response(engine, result->response);
    return event == EV_ERROR ? retry_or_fail(engine, status == 429 || status == 503) : event;
  }
  engine->error = *result->error;
  if (!hide_secrets(engine, engine->error.message, strlen(engine->error.message))) {
    return tc_engine_fail(engine, TC_ERR_NOMEM, "");
  }
  return is_lost(engine, result->unsent) ? EV_AGAIN : retry_or_fail(engine, result->unsent);
}

static tc_event on_authorized(tc_engine *engine, const tc_result *result) {
  const tc_credential *credential = &result->credential;
  engine->time.deadline =
      engine->clocks.monotonic + engine->time.timeout; /* the login had its own */
  if (result->outcome == TC_NONE) return EV_NEWS;
  if (result->outcome != TC_OK) {
    engine->error = *result->error;
    return EV_ERROR;
  }
  tc_best_forget(engine); /* what the cache held may be another user's */
  engine->login.done = true;
  engine->lock.wait = 0;
  if (result->response != NULL) {
    replace(&engine->request.body, result->sent);
    return engine->request.body.failed ? tc_engine_fail(engine, TC_ERR_NOMEM, "")
                                       : on_response(engine, result->response);
  }
  replace(&engine->login.code, credential->code);
  replace(&engine->login.redirect_uri, credential->redirect_uri);
  replace(&engine->login.code_verifier, credential->code_verifier);
  if (engine->login.code.failed || engine->login.redirect_uri.failed ||
      engine->login.code_verifier.failed) {
    return tc_engine_fail(engine, TC_ERR_NOMEM, "");
  }
  return EV_NEEDED;
}

/* After the server called the refresh token dead: another process may have replaced it. What does
   not hold the dead token is not ours to remove, and the server's error stands unless it helps. */
static tc_event on_verified(tc_engine *engine, const tc_result *result) {
  const tc_token *cached = result->token;
  if (result->outcome != TC_OK) return EV_ERROR;
  if (tc_str_equal(cached->refresh_token, engine->best.token.refresh_token)) {
    return engine->client->keeps_dead ? EV_ERROR : EV_DEAD;
  }
  if (tc_best_is_elsewhere(engine, cached)) return EV_ERROR;
  tc_fitness fitness = tc_best_judge(engine, cached);
  bool serves = fitness == TC_FIT && !engine->wanted.forced;
  bool renewable = cached->refresh_token.len > 0 && engine->request.attempts < MOST_ATTEMPTS;
  if (fitness == TC_UNFIT || !(serves || renewable)) return EV_ERROR;
  return tc_best_adopt(engine, cached, TC_FROM_CACHE) == EV_ERROR ? EV_ERROR
                                                                  : tc_best_verdict(engine);
}

/* Seconds for the next request. There must be time left of the run to begin one; once begun, a
   renewal has its own time, for what is sent must be finished. */
static double request_time(const tc_engine *engine) {
  double left = tc_engine_time_left(engine), least = engine->time.request_time;
  if (engine->request.repeated) return engine->request.deadline - engine->clocks.monotonic;
  return engine->request.renewing && left > 0 && left < least ? least : left;
}

static tc_event prepare_request(tc_engine *engine) {
  const tc_client *client = engine->client;
  tc_credential credential = {.refresh_token = engine->best.token.refresh_token,
                              .code = tc_buf_str(&engine->login.code),
                              .redirect_uri = tc_buf_str(&engine->login.redirect_uri),
                              .code_verifier = tc_buf_str(&engine->login.code_verifier)};
  engine->request.renewing = tc_best_renews(engine);
  double time = request_time(engine);
  if (time <= 0) {
    return tc_engine_fail(engine, TC_ERR_TIMEOUT,
                          "the deadline passed before the token could be requested");
  }
  if (!engine->request.repeated) engine->request.deadline = engine->clocks.monotonic + time;
  tc_buf_clear(&engine->request.body);
  tc_grant_request(engine->request.renewing ? client->renew : client->acquire, client, &credential,
                   &engine->request.body);
  if (engine->request.body.failed) return tc_engine_fail(engine, TC_ERR_NOMEM, "");
  engine->request.renewed = engine->request.renewing ? engine->best.origin : TC_FROM_NOWHERE;
  engine->request.attempts++;
  return EV_OK;
}

/* Before a request: EV_BUSY where the cache is to be asked whether it can save. */
static tc_event prepare_probe(tc_engine *engine) {
  if (tc_best_is_hopeless(engine)) return EV_ERROR;
  return tc_best_renews(engine) && !engine->client->reuses ? EV_BUSY : EV_OK;
}

/* Where a renewal failed for a passing reason, a token that still works is returned. An answer that
   makes no sense counts as passing: it may come from a portal that wants to be clicked away. */
static tc_action end(tc_engine *engine) {
  if (engine->error.number == 0) return TC_ACTION_RETURN;
  bool passing = tc_kind_is_passing(engine->error.kind) || engine->error.kind == TC_KIND_PROTOCOL;
  return passing && tc_best_still_works(engine) ? TC_ACTION_RETURN : TC_ACTION_FAIL;
}

/* Returns the seconds that a lock must live if it cannot be extended. */
static double lock_life(const tc_engine *engine) {
  double left = tc_engine_time_left(engine);
  double life = LOCK_MARGIN + (left > 0 ? left : 0);
  bool may_renew = engine->client->renew != NULL && !engine->login.done;
  return may_renew ? life + engine->time.request_time : life;
}

static tc_action advance(tc_engine *engine, tc_event event) {
  for (;;) {
    engine->state = tc_transition_from(engine->state, event);
    switch (engine->state) {
    case TC_STATE_LOADING:
    case TC_STATE_LOOKING:
    case TC_STATE_RELOADING:
    case TC_STATE_VERIFYING:
      return TC_ACTION_LOAD;
    case TC_STATE_DISCOVERING:
      if (engine->client->discovers) return TC_ACTION_DISCOVER;
      event = EV_OK;
      break;
    case TC_STATE_LOCKING:
      if (engine->lock.absent) {
        event = on_locked(engine, &(tc_result){.outcome = TC_FAILED});
        break;
      }
      engine->seconds = lock_life(engine);
      return TC_ACTION_LOCK;
    case TC_STATE_WAITING:
    case TC_STATE_PAUSING:
    case TC_STATE_SETTLING:
      return TC_ACTION_SLEEP;
    case TC_STATE_AUTHORIZING:
      return TC_ACTION_AUTHORIZE;
    case TC_STATE_PROBING:
      event = prepare_probe(engine);
      if (event == EV_BUSY) return TC_ACTION_PROBE;
      break;
    case TC_STATE_REQUESTING:
      event = prepare_request(engine);
      if (event == EV_OK) return TC_ACTION_REQUEST;
      break;
    case TC_STATE_REMOVING:
      return TC_ACTION_REMOVE;
    case TC_STATE_SAVING:
      return TC_ACTION_SAVE;
    case TC_STATE_UNLOCKING:
      if (engine->lock.held) return TC_ACTION_UNLOCK;
      event = EV_OK;
      break;
    case TC_STATE_STARTING:
    case TC_STATE_ENDED:
      return end(engine);
    }
  }
}

static tc_event take_options(tc_engine *engine, const tc_engine_options *options) {
  replace(&engine->wanted.refused, options->refused);
  if (engine->wanted.refused.failed) return tc_engine_fail(engine, TC_ERR_NOMEM, "");
  if (options->authorized) return EV_LOGIN;
  if (options->given == NULL) return EV_OK;
  return tc_best_adopt(engine, options->given, TC_FROM_GIVEN);
}

tc_action tc_engine_start(tc_engine *engine, const tc_client *client,
                          const tc_engine_options *options, tc_clocks clocks) {
  engine->client = client;
  engine->clocks = clocks;
  engine->time.timeout = options->timeout;
  engine->time.deadline = clocks.monotonic + options->timeout;
  engine->time.request_time = options->request_time;
  engine->wanted.forced = options->forced;
  engine->wanted.earlier = options->earlier;
  engine->lock.absent = options->lockless;
  return advance(engine, take_options(engine, options));
}

static tc_event interpret(tc_engine *engine, const tc_result *result) {
  engine->clocks = result->clocks;
  switch (engine->state) {
  case TC_STATE_LOADING:
    return tc_best_on_loaded(engine, result);
  case TC_STATE_LOOKING:
  case TC_STATE_RELOADING:
    return tc_best_on_reloaded(engine, result);
  case TC_STATE_AUTHORIZING:
    return on_authorized(engine, result);
  case TC_STATE_DISCOVERING:
    return on_discovered(engine, result);
  case TC_STATE_LOCKING:
    return on_locked(engine, result);
  case TC_STATE_PROBING:
    return on_probed(engine, result->outcome);
  case TC_STATE_REQUESTING:
    return on_answered(engine, result);
  case TC_STATE_VERIFYING:
    return on_verified(engine, result);
  case TC_STATE_REMOVING:
    tc_best_forget(engine);
    return EV_OK;
  case TC_STATE_UNLOCKING:
    return on_unlocked(engine);
  case TC_STATE_WAITING:
    return on_waited(engine, result);
  case TC_STATE_PAUSING: /* the request's error stands */
    return result->outcome == TC_FAILED ? EV_ERROR : EV_OK;
  case TC_STATE_SAVING:   /* the token is returned either way */
  case TC_STATE_SETTLING: /* where one may not wait, it is looked at once */
  case TC_STATE_STARTING:
  case TC_STATE_ENDED:
    break;
  }
  return EV_OK;
}

tc_action tc_engine_resume(tc_engine *engine, const tc_result *result) {
  return advance(engine, interpret(engine, result));
}

bool tc_engine_code_is_unused(const tc_engine *engine) {
  return engine->login.code.len > 0 && !engine->request.processed;
}

bool tc_engine_token_is_dead(const tc_engine *engine) {
  bool dead = engine->state == TC_STATE_SETTLING || engine->state == TC_STATE_VERIFYING;
  return dead && !engine->client->keeps_dead;
}

void tc_engine_free(tc_engine *engine) {
  tc_token_clear(&engine->best.token);
  tc_buf_free(&engine->wanted.refused);
  tc_buf_free(&engine->login.code);
  tc_buf_free(&engine->login.redirect_uri);
  tc_buf_free(&engine->login.code_verifier);
  tc_buf_free(&engine->request.body);
  memset(engine, 0, offsetof(tc_engine, error)); /* the rest is texts, empty once cleared */
  engine->best.token = TC_TOKEN_NONE;
  tc_error_clear(&engine->error);
}
