/* The token at hand of a flow engine: the best that its run knows of. For engine.c alone. */
#pragma once

#include "core/engine.h"
#include "core/transition.h"

/* Sets the run's error. */
tc_event tc_engine_fail(tc_engine *engine, int number, const char *message);

void tc_best_forget(tc_engine *engine);

/* Makes a copy of `token` the one at hand: EV_OK, or EV_ERROR without memory. */
tc_event tc_best_adopt(tc_engine *engine, const tc_token *token, tc_origin origin);

/* Reports whether it is the access token that the API refuses. */
bool tc_best_is_refused(const tc_engine *engine, const tc_token *token);

/* What a token is worth to this run now. */
tc_fitness tc_best_judge(const tc_engine *engine, const tc_token *token);

/* Reports whether the token at hand would be accepted now, if only for a few seconds more. */
bool tc_best_still_works(const tc_engine *engine);

/* Reports whether the next request renews a token, and so spends a refresh token. */
bool tc_best_renews(const tc_engine *engine);

/* Reports whether another token would not help either, and sets the run's error then: the API
   refuses the token at hand, which was issued a moment ago. */
bool tc_best_is_hopeless(tc_engine *engine);

/* What the token at hand calls for: EV_FIT, EV_NEEDED or EV_LOGIN; EV_ERROR where a login would not
   help. */
tc_event tc_best_verdict(tc_engine *engine);

/* Reports whether the run is about a given token, and `other` is neither it nor what became of it.
 */
bool tc_best_is_elsewhere(const tc_engine *engine, const tc_token *other);

/* Reports whether a token in the cache would be of no use: it is neither returned nor renewed. */
bool tc_best_needs_no_cache(const tc_engine *engine);

/* What the result of a LOAD calls for. */
tc_event tc_best_on_loaded(tc_engine *engine, const tc_result *result);

/* The same after another process had the lock: it may have found the login dead. */
tc_event tc_best_on_reloaded(tc_engine *engine, const tc_result *result);
