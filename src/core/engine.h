/* The flow engine: decides, and leaves the doing to its caller.

   tc_engine_start returns the first action; the caller carries it out and hands what came of it to
   tc_engine_resume, which returns the next, until TC_ACTION_RETURN or TC_ACTION_FAIL. The engine
   itself does no I/O, reads no clock and calls nobody back. */
#ifndef TC_ENGINE_H
#define TC_ENGINE_H

#include "core/buf.h"
#include "core/grant.h"
#include "core/token_response.h"

typedef enum tc_action {
  TC_ACTION_LOAD,      /* read the cache: OK with the token, NONE, or FAILED */
  TC_ACTION_LOCK,      /* try once: OK, NONE when another holds it, FAILED when there is no lock */
  TC_ACTION_SLEEP,     /* for `seconds`: OK, or FAILED with the error where one may not wait */
  TC_ACTION_AUTHORIZE, /* let the user log in: OK with a code or, where the flow has no `acquire`,
                          with the response; FAILED with the error */
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
  TC_FROM_MEMORY,
  TC_FROM_ANSWER,
} tc_origin;

typedef enum tc_state {
  TC_STATE_STARTING,
  TC_STATE_LOADING,
  TC_STATE_LOCKING,
  TC_STATE_WAITING,
  TC_STATE_RELOADING,
  TC_STATE_AUTHORIZING,
  TC_STATE_REQUESTING,
  TC_STATE_PAUSING,
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
  double timeout;         /* seconds for the whole run */
  bool forced;            /* do not settle for a cached token */
  bool lockless;          /* the cache has no lock: none is asked for */
  double earlier;         /* seconds: renew that much earlier than the client's leeway says */
  const tc_token *memory; /* a token that an earlier run could not save; may be NULL */
  tc_str replaced;        /* the access token that `memory` was to replace in the cache */
  bool authorized;        /* the login has taken place: begin with its result */
  const tc_token *given;  /* to be renewed whatever other login the cache holds; may be NULL */
} tc_engine_options;

typedef struct tc_result {
  tc_clocks clocks;
  tc_outcome outcome;
  const tc_token *token;             /* LOAD, OK */
  const tc_token_response *response; /* REQUEST, OK; AUTHORIZE, OK */
  const tc_error *error;             /* REQUEST, AUTHORIZE or SLEEP, FAILED */
  tc_credential credential;          /* AUTHORIZE, OK */
  bool unsent;                       /* REQUEST, FAILED: the server cannot have processed it */
} tc_result;

typedef struct tc_engine {
  const tc_client *client; /* must outlive the engine */
  tc_state state;
  tc_clocks clocks;
  double timeout;
  double deadline; /* on the monotonic clock */
  bool forced;
  bool lockless;
  double earlier;
  bool unsaved; /* `token` is not in the cache yet */
  bool locked;
  bool lost;      /* the lock has ended by itself */
  bool sleepless; /* it may not wait */
  bool logged_in; /* in this run: the cache has nothing to match that */
  bool processed; /* the server may have acted on a request of this run */
  unsigned attempts;
  double wait;    /* seconds, before the busy lock was last tried again */
  double seconds; /* of the next sleep; of a lock's life */
  tc_origin origin;
  bool renewing;     /* the request is for a token renewed, not acquired */
  tc_origin renewed; /* where the token came from that the request renews */
  bool rotated;      /* that was answered by nothing of use but a new refresh token */
  tc_token token;    /* the best known */
  tc_buf replaced;
  tc_buf code; /* to be exchanged; empty: the refresh token is */
  tc_buf redirect_uri;
  tc_buf code_verifier;
  tc_buf body; /* of the request */
  tc_error error;
} tc_engine;

#define TC_ENGINE_EMPTY ((tc_engine){.token = TC_TOKEN_NONE, .error = TC_ERROR_NONE})

/* `engine` must be TC_ENGINE_EMPTY. */
tc_action tc_engine_start(tc_engine *engine, const tc_client *client,
                          const tc_engine_options *options, tc_clocks clocks);

/* Before the result of a LOAD, where what an earlier run could not save has changed since the
   start: `memory` may be NULL, `replaced` is as in the options. 0 or TC_ERR_NOMEM. */
int tc_engine_remember(tc_engine *engine, const tc_token *memory, tc_str replaced);

tc_action tc_engine_resume(tc_engine *engine, const tc_result *result);

/* Seconds left of the run's time. */
static inline double tc_engine_time_left(const tc_engine *engine) {
  return engine->deadline - engine->clocks.monotonic;
}

/* After a failure: whether the user's login brought a code that the server certainly has not seen,
   so that it may be tried again. */
bool tc_engine_code_is_unused(const tc_engine *engine);

/* Erases and frees; an engine may be freed in any state. */
void tc_engine_free(tc_engine *engine);

#endif
