/* The flow engine: decides, and leaves the doing to its caller.

   tc_engine_start returns the first action; the caller carries it out and hands what came of it to
   tc_engine_resume, which returns the next, until TC_ACTION_RETURN or TC_ACTION_FAIL. The engine
   itself does no I/O, reads no clock and calls nobody back. */
#pragma once

#include "core/buf.h"
#include "core/grant.h"
#include "core/token_response.h"

typedef enum tc_action {
  TC_ACTION_LOAD,      /* what does the account hold? OK with the token, NONE, or FAILED */
  TC_ACTION_DISCOVER,  /* tell the client where requests go: OK, or FAILED with the error */
  TC_ACTION_LOCK,      /* try once: OK; NONE when another holds it; FAILED with an error that ends
                          the run, or without one: the lock itself failed */
  TC_ACTION_SLEEP,     /* for `seconds`: OK, or FAILED with the error where one may not wait */
  TC_ACTION_AUTHORIZE, /* let the user log in: OK with a code, or with the response
                          that has brought the token; NONE: another login, for which this one has
                          waited, may have brought a token; FAILED with the error */
  TC_ACTION_PROBE,     /* show that the cache can take a new entry: OK; NONE: it holds another entry
                          by now; FAILED */
  TC_ACTION_REQUEST,   /* POST to the token endpoint: OK with the response, FAILED with the error,
                          or NONE: not done, for the lock had ended before */
  TC_ACTION_SAVE,      /* write `token` to the cache: OK or FAILED */
  TC_ACTION_REMOVE,    /* delete the cache's entry: OK or FAILED */
  TC_ACTION_UNLOCK,    /* OK */
  TC_ACTION_RETURN, /* the end: `token` serves; `error` is what went wrong on the way, if anything
                     */
  TC_ACTION_FAIL,   /* the end: `error` says why */
} tc_action;

typedef enum tc_outcome { TC_OK, TC_NONE, TC_FAILED } tc_outcome;

/* Where the token at hand comes from; the caller keeps the whole token_info of each. */
typedef enum tc_origin {
  TC_FROM_NOWHERE,
  TC_FROM_GIVEN,
  TC_FROM_CACHE,
  TC_FROM_ANSWER,
} tc_origin;

typedef enum tc_state {
  TC_STATE_STARTING,
  TC_STATE_LOADING,
  TC_STATE_DISCOVERING, /* the endpoint, where the client must be told */
  TC_STATE_LOCKING,
  TC_STATE_WAITING,   /* for a lock that another holds */
  TC_STATE_LOOKING,   /* what came of that wait */
  TC_STATE_RELOADING, /* under the lock */
  TC_STATE_AUTHORIZING,
  TC_STATE_PROBING,
  TC_STATE_REQUESTING,
  TC_STATE_PAUSING, /* before the request is repeated */
  TC_STATE_SETTLING,
  TC_STATE_VERIFYING,
  TC_STATE_REMOVING,
  TC_STATE_SAVING,
  TC_STATE_UNLOCKING,
  TC_STATE_ENDED,
} tc_state;

typedef struct tc_clocks {
  double now;       /* Unix seconds: what tokens are judged by */
  double monotonic; /* seconds from some fixed point: what deadlines are kept by */
} tc_clocks;

typedef struct tc_engine_options {
  double timeout;        /* seconds for the whole run */
  double request_time;   /* seconds that the request of a renewal has, also beyond the timeout */
  bool forced;           /* do not settle for a cached token */
  bool lockless;         /* the cache has no lock: none is asked for */
  double earlier;        /* seconds: renew that much earlier than the client's leeway says */
  bool authorized;       /* begin with a login, which may have taken place */
  const tc_token *given; /* to be renewed whatever other login the cache holds; may be NULL */
  tc_str refused;        /* an access token that the API refuses: it never serves */
} tc_engine_options;

typedef struct tc_result {
  tc_clocks clocks;
  tc_outcome outcome;
  const tc_token *token;             /* LOAD, OK */
  const tc_token_response *response; /* REQUEST, OK; AUTHORIZE, OK, or NULL: there is a code */
  const tc_error *error; /* DISCOVER, REQUEST, AUTHORIZE or SLEEP, FAILED; LOCK, FAILED, or NULL */
  tc_credential credential; /* AUTHORIZE, OK, without a response */
  tc_str sent; /* REQUEST, AUTHORIZE: what the request was sent with, as tc_echo_hide wants it */
  bool unsent; /* REQUEST, FAILED: the server cannot have processed it */
} tc_result;

typedef struct tc_engine {
  const tc_client *client; /* must outlive the engine */
  tc_state state;
  tc_clocks clocks;
  double seconds; /* of the next sleep; of a lock's life */

  struct {
    double timeout;      /* seconds */
    double deadline;     /* on the monotonic clock */
    double request_time; /* seconds */
  } time;

  struct { /* what the caller asked for */
    bool forced;
    double earlier;
    tc_buf refused;
  } wanted;

  struct { /* the cache's lock */
    bool absent;
    bool held;
    bool ended;      /* by itself */
    bool sleepless;  /* the run may not wait for it */
    unsigned losses; /* how often it has ended before a request */
    double wait;     /* seconds, before it was last tried again */
  } lock;

  struct { /* the token at hand: the best known */
    tc_token token;
    tc_origin origin;
  } best;

  struct { /* of the user, in this run; it counts more than what the cache holds */
    bool done;
    tc_buf code; /* to be exchanged; empty: the refresh token is */
    tc_buf redirect_uri;
    tc_buf code_verifier;
  } login;

  struct {
    unsigned attempts;
    unsigned news;     /* how often the cache, asked before it, held another entry */
    bool renewing;     /* it sends a refresh token */
    bool rotated;      /* of its answer only the new refresh token can be used */
    bool processed;    /* the server may have acted on it */
    bool repeated;     /* the answer to this renewal was lost once */
    tc_origin renewed; /* where the token came from that it renews */
    double deadline;   /* on the monotonic clock: when it is given up */
    tc_buf body;
  } request;

  tc_error error;
} tc_engine;

#define TC_ENGINE_EMPTY ((tc_engine){.best = {.token = TC_TOKEN_NONE}, .error = TC_ERROR_NONE})

/* `engine` must be TC_ENGINE_EMPTY. */
tc_action tc_engine_start(tc_engine *engine, const tc_client *client,
                          const tc_engine_options *options, tc_clocks clocks);

tc_action tc_engine_resume(tc_engine *engine, const tc_result *result);

/* Seconds left of the run's time. */
static inline double tc_engine_time_left(const tc_engine *engine) {
  return engine->time.deadline - engine->clocks.monotonic;
}

/* After a failure: whether the user's login brought a code that the server certainly has not seen,
   so that it may be tried again. */
bool tc_engine_code_is_unused(const tc_engine *engine);

/* Beside SLEEP and LOAD: whether the server has just said that it knows the refresh token no longer
   that was sent to it, and that is to be remembered. */
bool tc_engine_token_is_dead(const tc_engine *engine);

/* Erases and frees; an engine may be freed in any state. */
void tc_engine_free(tc_engine *engine);
