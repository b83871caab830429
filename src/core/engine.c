#include "core/engine.h"

#include <stddef.h>

#include "core/echo.h"
#include "core/grant.h"
#include "core/scope.h"
#include "core/transition.h"

#define MOST_ATTEMPTS 3
#define FIRST_PAUSE 0.25 /* seconds before the second attempt; doubled for each further one */
#define FIRST_WAIT 0.02  /* seconds before a busy lock is tried again; grows by half */
#define LONGEST_WAIT 0.5
#define SETTLING 0.5    /* seconds for another process to save what it got */
#define LOCK_MARGIN 5.0 /* seconds a lock outlives the deadline of its holder */

static tc_event fail(tc_engine *engine, int number, const char *message) {
  tc_error_clear(&engine->error);
  (void)tc_error_set(&engine->error, number, "%s", message);
  return EV_ERROR;
}

static void forget(tc_engine *engine) {
  tc_token_clear(&engine->token);
  engine->origin = TC_FROM_NOWHERE;
  engine->unsaved = false;
}

static tc_event adopt(tc_engine *engine, const tc_token *token, tc_origin origin) {
  if (tc_token_assign(&engine->token, token, &engine->error) != 0) return EV_ERROR;
  engine->origin = origin;
  engine->unsaved = origin == TC_FROM_MEMORY || origin == TC_FROM_ANSWER;
  tc_error_clear(&engine->error);
  return EV_OK;
}

static tc_fitness judge(const tc_engine *engine, const tc_token *token) {
  const tc_client *client = engine->client;
  double now = engine->clocks.now;
  tc_fitness fitness = tc_client_judge(client, token, now);
  bool is_due = tc_token_is_expired(token, now, client->leeway + engine->earlier);
  return fitness == TC_FIT && is_due ? TC_EXPIRING : fitness;
}

/* Whether the token at hand would be accepted now, if only for a few seconds more. */
static bool still_works(const tc_engine *engine) {
  return !engine->forced && tc_token_exists(&engine->token) &&
         judge(engine, &engine->token) <= TC_EXPIRING;
}

static tc_event verdict(const tc_engine *engine) {
  const tc_client *client = engine->client;
  if (!engine->forced && tc_token_exists(&engine->token) &&
      judge(engine, &engine->token) == TC_FIT) {
    return engine->unsaved ? EV_UNSAVED : EV_FIT;
  }
  bool renewable = client->renew != NULL && engine->token.refresh_token.len > 0;
  return renewable || !client->has_user ? EV_NEEDED : EV_LOGIN;
}

/* Whether the cache's token makes the unsaved one at hand superfluous. */
static bool supersedes(const tc_engine *engine, const tc_token *cached) {
  const tc_token *unsaved = &engine->token;
  if (tc_str_equal(cached->access_token, unsaved->access_token) &&
      tc_str_equal(cached->refresh_token, unsaved->refresh_token)) { /* only that may be new */
    return true;
  }
  if (tc_str_equal(cached->access_token, tc_buf_str(&engine->replaced))) return false;
  if (cached->authorized_at != unsaved->authorized_at && cached->authorized_at != TC_TIME_UNKNOWN &&
      unsaved->authorized_at != TC_TIME_UNKNOWN) {
    return cached->authorized_at > unsaved->authorized_at;
  }
  if (unsaved->expires_at != TC_TIME_UNKNOWN && cached->expires_at > unsaved->expires_at) {
    return true;
  }
  /* a cached token of unknown end has no later one; a refresh token is not given up for it */
  return unsaved->refresh_token.len == 0 && judge(engine, cached) == TC_FIT &&
         judge(engine, unsaved) != TC_FIT;
}

/* Whether the run is about a given token, and `other` is neither it nor what became of it. */
static bool is_elsewhere(const tc_engine *engine, const tc_token *other) {
  const tc_token *given = &engine->token;
  if (engine->origin != TC_FROM_GIVEN) return false;
  if (tc_str_equal(other->refresh_token, given->refresh_token)) return false;
  return given->authorized_at == TC_TIME_UNKNOWN || other->authorized_at != given->authorized_at ||
         other->expires_at < given->expires_at;
}

/* Whether a token there would neither be settled for nor renewed. */
static bool cache_is_useless(const tc_engine *engine) {
  return engine->forced && !engine->client->has_user;
}

static tc_event on_found(tc_engine *engine, const tc_token *cached) {
  const tc_client *client = engine->client;
  if (tc_client_shuns(client, cached)) {
    return fail(engine, TC_ERR_CONFIG,
                "the cache holds a user's login (it has a refresh_token), which this flow will "
                "neither use nor overwrite; give the flow a cache of its own");
  }
  if (cache_is_useless(engine)) return EV_NEEDED;
  if (is_elsewhere(engine, cached)) return verdict(engine);
  if (judge(engine, cached) == TC_UNFIT) {
    if (engine->origin == TC_FROM_CACHE) forget(engine);
    return verdict(engine);
  }
  if (!engine->unsaved || supersedes(engine, cached)) {
    if (adopt(engine, cached, TC_FROM_CACHE) == EV_ERROR) return EV_ERROR;
  }
  return verdict(engine);
}

static tc_event on_loaded(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_OK) return on_found(engine, result->token);
  if (result->outcome == TC_NONE && engine->origin == TC_FROM_CACHE) forget(engine);
  bool insists = engine->origin == TC_FROM_GIVEN && engine->forced;
  if (result->outcome == TC_FAILED && engine->client->has_user && !engine->unsaved && !insists) {
    /* a login may be there: asking for another because the cache is away would be wrong, and so
       would renewing one read earlier, which another process may have renewed since */
    return fail(engine, TC_ERR_CACHE, "the cache could not be read");
  }
  return verdict(engine);
}

/* A login that was there before: another process may have found it dead and removed it. */
static tc_event on_reloaded(tc_engine *engine, const tc_result *result) {
  tc_event event = on_loaded(engine, result);
  if (event != EV_LOGIN) return event;
  return fail(engine, TC_ERR_REAUTHORIZE,
              "the login ended while another process was renewing it; the user must log in again");
}

/* What is to be done with what the login brought: a code to exchange, or the token itself. */
static tc_event after_login(const tc_engine *engine) {
  return engine->client->acquire != NULL ? EV_NEEDED : EV_UNSAVED;
}

/* Another holds the lock. It is waited for as long as the run has time; after a login only for half
   of that, because to lose the login is worse than to go on without the lock. */
static tc_event on_busy(tc_engine *engine) {
  double left = tc_engine_time_left(engine);
  if (engine->logged_in) {
    left -= engine->timeout / 2;
    if (left <= 0 || engine->sleepless) return after_login(engine);
  } else if (still_works(engine)) {
    return EV_FIT;
  } else if (left <= 0) {
    return fail(engine, TC_ERR_TIMEOUT,
                "the deadline passed while another process was getting the token");
  }
  engine->wait = engine->wait > 0 ? engine->wait * 1.5 : FIRST_WAIT;
  if (engine->wait > LONGEST_WAIT) engine->wait = LONGEST_WAIT;
  engine->seconds = engine->wait < left ? engine->wait : left;
  return EV_BUSY;
}

static tc_event on_locked(tc_engine *engine, tc_outcome outcome) {
  if (outcome == TC_NONE) return on_busy(engine);
  engine->locked = outcome == TC_OK;
  if (engine->logged_in) return after_login(engine);
  if (!engine->locked) return verdict(engine);
  return cache_is_useless(engine) ? EV_NEEDED : EV_LOCKED;
}

/* Where sleeping fails, a login goes on without the lock. */
static tc_event on_waited(tc_engine *engine, const tc_result *result) {
  engine->sleepless = result->outcome == TC_FAILED;
  if (engine->logged_in) return after_login(engine);
  if (engine->sleepless) engine->error = *result->error;
  return engine->sleepless ? EV_ERROR : EV_OK;
}

/* Completes the answered token by what it leaves unsaid. */
static tc_event on_token(tc_engine *engine, tc_token answered) {
  const tc_client *client = engine->client;
  const tc_token *old = &engine->token;
  tc_str wanted = tc_str_of(client->scope);
  answered.client_id = tc_str_of(client->client_id);
  if (engine->renewing) {
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
  return adopt(engine, &answered, TC_FROM_ANSWER) == EV_ERROR ? EV_ERROR : EV_UNSAVED;
}

/* After an answer that cannot be used. A new refresh token in it is saved beside the old access
   token before the run ends with that error: the server may have taken the old one back. */
static tc_event on_rotation(tc_engine *engine, tc_str refresh_token) {
  tc_error reason = engine->error;
  tc_token kept = engine->token;
  bool is_new = refresh_token.len > 0 && !tc_str_equal(refresh_token, kept.refresh_token);
  if (!is_new || !engine->renewing || !tc_token_exists(&kept)) return EV_ERROR;
  kept.refresh_token = refresh_token;
  if (adopt(engine, &kept, TC_FROM_ANSWER) == EV_ERROR) return EV_ERROR;
  engine->rotated = true;
  engine->error = reason;
  return EV_UNSAVED;
}

/* RFC 9110 §9.2.2: a POST is repeated only where it cannot have been processed. */
static tc_event retry_or_fail(tc_engine *engine, bool unprocessed) {
  engine->processed = engine->processed || !unprocessed;
  if (!unprocessed || !tc_kind_is_passing(engine->error.kind) ||
      engine->attempts >= MOST_ATTEMPTS) {
    return EV_ERROR;
  }
  double pause = FIRST_PAUSE * (double)(1U << (engine->attempts - 1));
  if (engine->error.retry_after > pause) pause = engine->error.retry_after; /* clocks differ */
  if (pause >= tc_engine_time_left(engine)) return EV_ERROR;
  engine->seconds = pause;
  return EV_RETRY;
}

/* False: out of memory, and some of the request's secrets may still be there. */
static bool hide_secrets(const tc_engine *engine, char *text, size_t len) {
  return tc_echo_hide(text, len, tc_str_of(engine->client->client_secret),
                      tc_buf_str(&engine->body), tc_str_of(engine->client->authorization));
}

static void add_foreign(tc_buf *out, const tc_engine *engine, tc_str text) {
  if (text.len == 0) return;
  tc_buf_add_str(out, text);
  out->failed = out->failed || !hide_secrets(engine, out->data, out->len);
}

/* Of two that renew the same login without a lock, the second is told that its token is dead. */
static tc_event on_dead(tc_engine *engine) {
  double left = tc_engine_time_left(engine);
  if (engine->locked || left <= 0) return EV_DEAD;
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
  if (rc == TC_ERR_REAUTHORIZE && engine->renewing) return on_dead(engine);
  return on_rotation(engine, token.refresh_token);
}

/* Another may be renewing the login by now. */
static tc_event on_lost(tc_engine *engine) {
  engine->lost = true;
  engine->attempts--;
  return EV_LOST;
}

static tc_event on_unlocked(tc_engine *engine) {
  bool lost = engine->lost;
  engine->locked = engine->lost = false;
  return lost ? EV_LOST : EV_OK;
}

static tc_event on_answered(tc_engine *engine, const tc_result *result) {
  if (result->outcome == TC_NONE) return on_lost(engine);
  if (result->outcome == TC_OK) {
    int status = result->response->status;
    tc_event event = on_response(engine, result->response);
    return event == EV_ERROR ? retry_or_fail(engine, status == 429 || status == 503) : event;
  }
  engine->error = *result->error;
  if (!hide_secrets(engine, engine->error.message, strlen(engine->error.message))) {
    return fail(engine, TC_ERR_NOMEM, "");
  }
  return retry_or_fail(engine, result->unsent);
}

static void replace(tc_buf *buf, tc_str text) {
  tc_buf_clear(buf);
  tc_buf_add_str(buf, text);
}

static tc_event on_authorized(tc_engine *engine, const tc_result *result) {
  const tc_credential *credential = &result->credential;
  engine->deadline = engine->clocks.monotonic + engine->timeout; /* the login had its own */
  if (result->outcome != TC_OK) {
    engine->error = *result->error;
    return EV_ERROR;
  }
  forget(engine); /* what the cache held may be another user's */
  engine->logged_in = true;
  engine->wait = 0;
  if (engine->client->acquire == NULL) return on_response(engine, result->response);
  replace(&engine->code, credential->code);
  replace(&engine->redirect_uri, credential->redirect_uri);
  replace(&engine->code_verifier, credential->code_verifier);
  if (engine->code.failed || engine->redirect_uri.failed || engine->code_verifier.failed) {
    return fail(engine, TC_ERR_NOMEM, "");
  }
  return EV_NEEDED;
}

/* After the server called the refresh token dead: another process may have replaced it. What does
   not hold the dead token is not ours to remove, and the server's error stands unless it helps. */
static tc_event on_verified(tc_engine *engine, const tc_result *result) {
  const tc_token *cached = result->token;
  if (result->outcome != TC_OK) return EV_ERROR;
  if (tc_str_equal(cached->refresh_token, engine->token.refresh_token)) {
    return engine->client->keeps_dead ? EV_ERROR : EV_DEAD;
  }
  if (is_elsewhere(engine, cached)) return EV_ERROR;
  tc_fitness fitness = judge(engine, cached);
  bool serves = fitness == TC_FIT && !engine->forced;
  bool renewable = cached->refresh_token.len > 0 && engine->attempts < MOST_ATTEMPTS;
  if (fitness == TC_UNFIT || !(serves || renewable)) return EV_ERROR;
  return adopt(engine, cached, TC_FROM_CACHE) == EV_ERROR ? EV_ERROR : verdict(engine);
}

/* Builds the request; there must be time left to send it. */
static tc_event prepare_request(tc_engine *engine) {
  const tc_client *client = engine->client;
  tc_credential credential = {.refresh_token = engine->token.refresh_token,
                              .code = tc_buf_str(&engine->code),
                              .redirect_uri = tc_buf_str(&engine->redirect_uri),
                              .code_verifier = tc_buf_str(&engine->code_verifier)};
  engine->renewing =
      client->renew != NULL && credential.code.len == 0 && credential.refresh_token.len > 0;
  if (tc_engine_time_left(engine) <= 0) {
    return fail(engine, TC_ERR_TIMEOUT, "the deadline passed before the token could be requested");
  }
  tc_buf_clear(&engine->body);
  tc_grant_request(engine->renewing ? client->renew : client->acquire, client, &credential,
                   &engine->body);
  if (engine->body.failed) return fail(engine, TC_ERR_NOMEM, "");
  engine->renewed = engine->renewing ? engine->origin : TC_FROM_NOWHERE;
  engine->attempts++;
  return EV_OK;
}

/* What is known of the token is good enough where only the attempt to better it failed. Nonsense
   counts as passing here: it may come from a portal that wants to be clicked through. */
static tc_action end(tc_engine *engine) {
  if (engine->error.number == 0) return TC_ACTION_RETURN;
  bool passing = tc_kind_is_passing(engine->error.kind) || engine->error.kind == TC_KIND_PROTOCOL;
  return passing && still_works(engine) ? TC_ACTION_RETURN : TC_ACTION_FAIL;
}

static tc_action advance(tc_engine *engine, tc_event event) {
  for (;;) {
    engine->state = tc_transition_from(engine->state, event);
    switch (engine->state) {
    case TC_STATE_LOADING:
    case TC_STATE_RELOADING:
    case TC_STATE_VERIFYING:
      return TC_ACTION_LOAD;
    case TC_STATE_LOCKING:
      if (engine->lockless) {
        event = on_locked(engine, TC_FAILED);
        break;
      }
      engine->seconds = LOCK_MARGIN;
      if (tc_engine_time_left(engine) > 0) engine->seconds += tc_engine_time_left(engine);
      return TC_ACTION_LOCK;
    case TC_STATE_WAITING:
    case TC_STATE_PAUSING:
    case TC_STATE_SETTLING:
      return TC_ACTION_SLEEP;
    case TC_STATE_AUTHORIZING:
      return TC_ACTION_AUTHORIZE;
    case TC_STATE_REQUESTING:
      event = prepare_request(engine);
      if (event == EV_OK) return TC_ACTION_REQUEST;
      break;
    case TC_STATE_REMOVING:
      return TC_ACTION_REMOVE;
    case TC_STATE_SAVING:
      return TC_ACTION_SAVE;
    case TC_STATE_UNLOCKING:
      if (engine->locked) return TC_ACTION_UNLOCK;
      event = EV_OK;
      break;
    case TC_STATE_STARTING:
    case TC_STATE_ENDED:
      return end(engine);
    }
  }
}

int tc_engine_remember(tc_engine *engine, const tc_token *memory, tc_str replaced) {
  if (engine->state == TC_STATE_VERIFYING) return 0; /* the token at hand is the dead one */
  if (engine->origin == TC_FROM_GIVEN && (memory == NULL || is_elsewhere(engine, memory))) return 0;
  replace(&engine->replaced, replaced);
  if (engine->replaced.failed) return tc_error_set(&engine->error, TC_ERR_NOMEM, NULL);
  if (engine->origin == TC_FROM_MEMORY) forget(engine);
  if (memory == NULL || adopt(engine, memory, TC_FROM_MEMORY) == EV_OK) return 0;
  return engine->error.number;
}

static tc_event take_options(tc_engine *engine, const tc_engine_options *options) {
  if (options->authorized) return EV_LOGIN;
  if (options->given != NULL && adopt(engine, options->given, TC_FROM_GIVEN) == EV_ERROR) {
    return EV_ERROR;
  }
  return tc_engine_remember(engine, options->memory, options->replaced) == 0 ? EV_OK : EV_ERROR;
}

tc_action tc_engine_start(tc_engine *engine, const tc_client *client,
                          const tc_engine_options *options, tc_clocks clocks) {
  engine->client = client;
  engine->clocks = clocks;
  engine->timeout = options->timeout;
  engine->deadline = clocks.monotonic + options->timeout;
  engine->forced = options->forced;
  engine->lockless = options->lockless;
  engine->earlier = options->earlier;
  return advance(engine, take_options(engine, options));
}

static tc_event interpret(tc_engine *engine, const tc_result *result) {
  engine->clocks = result->clocks;
  switch (engine->state) {
  case TC_STATE_LOADING:
    return engine->wait > 0 ? on_reloaded(engine, result) : on_loaded(engine, result);
  case TC_STATE_RELOADING:
    return on_reloaded(engine, result);
  case TC_STATE_AUTHORIZING:
    return on_authorized(engine, result);
  case TC_STATE_LOCKING:
    return on_locked(engine, result->outcome);
  case TC_STATE_REQUESTING:
    return on_answered(engine, result);
  case TC_STATE_VERIFYING:
    return on_verified(engine, result);
  case TC_STATE_SAVING:
    if (result->outcome == TC_OK) engine->unsaved = false;
    return EV_OK;
  case TC_STATE_REMOVING:
    forget(engine);
    return EV_OK;
  case TC_STATE_UNLOCKING:
    return on_unlocked(engine);
  case TC_STATE_WAITING:
    return on_waited(engine, result);
  case TC_STATE_PAUSING: /* the request's error stands */
    return result->outcome == TC_FAILED ? EV_ERROR : EV_OK;
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
  return engine->code.len > 0 && !engine->processed;
}

void tc_engine_free(tc_engine *engine) {
  tc_token_clear(&engine->token);
  tc_buf_free(&engine->replaced);
  tc_buf_free(&engine->code);
  tc_buf_free(&engine->redirect_uri);
  tc_buf_free(&engine->code_verifier);
  tc_buf_free(&engine->body);
  memset(engine, 0, offsetof(tc_engine, error)); /* the rest is texts, empty once cleared */
  engine->token = TC_TOKEN_NONE;
  tc_error_clear(&engine->error);
}
