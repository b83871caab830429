#include "core/transition.h"

#include <assert.h>

/* The choreography. One exit: whatever happens after the lock was taken passes UNLOCKING. */
const tc_transition tc_transitions[] = {
    {TC_STATE_STARTING, EV_OK, TC_STATE_LOADING},
    {TC_STATE_STARTING, EV_LOGIN, TC_STATE_AUTHORIZING}, /* whatever the cache holds */
    {TC_STATE_STARTING, EV_ERROR, TC_STATE_ENDED},

    {TC_STATE_LOADING, EV_FIT, TC_STATE_ENDED},
    {TC_STATE_LOADING, EV_NEEDED, TC_STATE_DISCOVERING},
    {TC_STATE_LOADING, EV_LOGIN, TC_STATE_AUTHORIZING},
    {TC_STATE_LOADING, EV_ERROR, TC_STATE_ENDED},

    /* the lock is taken after the login: a person takes minutes */
    {TC_STATE_AUTHORIZING, EV_NEEDED, TC_STATE_DISCOVERING},
    {TC_STATE_AUTHORIZING, EV_UNSAVED, TC_STATE_LOCKING},
    {TC_STATE_AUTHORIZING, EV_NEWS, TC_STATE_LOADING}, /* another login has ended meanwhile */
    {TC_STATE_AUTHORIZING, EV_ERROR, TC_STATE_ENDED},

    {TC_STATE_DISCOVERING, EV_OK, TC_STATE_LOCKING}, /* no lock is kept while the document comes */
    {TC_STATE_DISCOVERING, EV_ERROR, TC_STATE_ENDED},

    {TC_STATE_LOCKING, EV_LOCKED, TC_STATE_RELOADING},
    {TC_STATE_LOCKING, EV_UNSAVED, TC_STATE_SAVING}, /* a login that brought the token itself */
    {TC_STATE_LOCKING, EV_NEEDED, TC_STATE_PROBING}, /* a login's code; no lock; or forced */
    {TC_STATE_LOCKING, EV_BUSY, TC_STATE_WAITING},
    {TC_STATE_LOCKING, EV_FIT, TC_STATE_ENDED}, /* busy, but the old token still works */
    {TC_STATE_LOCKING, EV_ERROR, TC_STATE_ENDED},
    {TC_STATE_WAITING, EV_OK, TC_STATE_LOOKING},
    {TC_STATE_WAITING, EV_NEEDED, TC_STATE_LOCKING}, /* what a login brought waits for the lock */
    {TC_STATE_WAITING, EV_UNSAVED, TC_STATE_LOCKING},
    {TC_STATE_WAITING, EV_ERROR, TC_STATE_ENDED}, /* one may not wait here */

    {TC_STATE_LOOKING, EV_FIT, TC_STATE_ENDED}, /* another renewed it meanwhile */
    {TC_STATE_LOOKING, EV_NEEDED, TC_STATE_LOCKING},
    {TC_STATE_LOOKING, EV_ERROR, TC_STATE_ENDED},

    {TC_STATE_RELOADING, EV_FIT, TC_STATE_UNLOCKING}, /* likewise */
    {TC_STATE_RELOADING, EV_NEEDED, TC_STATE_PROBING},
    {TC_STATE_RELOADING, EV_ERROR, TC_STATE_UNLOCKING},

    {TC_STATE_PROBING, EV_OK, TC_STATE_REQUESTING},
    {TC_STATE_PROBING, EV_NEWS, TC_STATE_RELOADING},
    {TC_STATE_PROBING, EV_ERROR, TC_STATE_UNLOCKING}, /* nothing is sent */

    {TC_STATE_REQUESTING, EV_UNSAVED, TC_STATE_SAVING},
    {TC_STATE_REQUESTING, EV_RETRY, TC_STATE_PAUSING},
    {TC_STATE_REQUESTING, EV_AGAIN, TC_STATE_REQUESTING},
    {TC_STATE_REQUESTING, EV_LOST, TC_STATE_UNLOCKING},
    {TC_STATE_REQUESTING, EV_DEAD, TC_STATE_VERIFYING},
    {TC_STATE_REQUESTING, EV_SPENT, TC_STATE_SETTLING},
    {TC_STATE_REQUESTING, EV_ERROR, TC_STATE_UNLOCKING},
    {TC_STATE_PAUSING, EV_OK, TC_STATE_REQUESTING},
    {TC_STATE_PAUSING, EV_ERROR, TC_STATE_UNLOCKING},

    {TC_STATE_SETTLING, EV_OK, TC_STATE_VERIFYING},
    {TC_STATE_VERIFYING, EV_FIT, TC_STATE_UNLOCKING},  /* another replaced the dead token */
    {TC_STATE_VERIFYING, EV_NEEDED, TC_STATE_PROBING}, /* another did, and that expired too */
    {TC_STATE_VERIFYING, EV_DEAD, TC_STATE_REMOVING},
    {TC_STATE_VERIFYING, EV_ERROR, TC_STATE_UNLOCKING},

    {TC_STATE_REMOVING, EV_OK, TC_STATE_UNLOCKING},
    {TC_STATE_SAVING, EV_OK, TC_STATE_UNLOCKING},
    {TC_STATE_UNLOCKING, EV_OK, TC_STATE_ENDED},
    {TC_STATE_UNLOCKING, EV_LOST, TC_STATE_LOCKING},
};

const size_t tc_transition_count = sizeof tc_transitions / sizeof *tc_transitions;

tc_state tc_transition_from(tc_state from, tc_event on) {
  for (size_t i = 0; i < tc_transition_count; i++) {
    if (tc_transitions[i].from == from && tc_transitions[i].on == on) return tc_transitions[i].to;
  }
  assert(!"an event without a row");
  return TC_STATE_ENDED;
}
