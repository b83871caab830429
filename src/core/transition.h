/* The steps of the flow engine: which state follows which, as one table. For engine.c alone. */
#pragma once

#include "core/engine.h"

/* What came of an action, as far as the next step depends on it. */
typedef enum tc_event {
  EV_OK,
  EV_FIT,     /* the token at hand serves */
  EV_UNSAVED, /* it has just come and the cache does not hold it yet */
  EV_NEEDED,  /* there is no token that serves, but one can be requested */
  EV_LOGIN,   /* there is nothing to request one with: the user must log in */
  EV_LOCKED,
  EV_BUSY,  /* another holds the lock */
  EV_RETRY, /* the request was not processed and there is time to repeat it */
  EV_AGAIN, /* its answer was lost: the same token is sent once more, at once */
  EV_LOST,  /* the lock ended before the request was made */
  EV_NEWS,  /* the cache holds another entry than the one that was read, or may do so */
  EV_DEAD,  /* the server knows the refresh token no longer */
  EV_SPENT, /* likewise, and without a lock another may be about to save its successor */
  EV_ERROR, /* engine->error is set */
} tc_event;

typedef struct tc_transition {
  tc_state from;
  tc_event on;
  tc_state to;
} tc_transition;

extern const tc_transition tc_transitions[];
extern const size_t tc_transition_count;

/* Every event of every state has a row: one without is a mistake of the engine's. */
tc_state tc_transition_from(tc_state from, tc_event on);
