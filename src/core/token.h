/* A token_info as far as decisions depend on it. The rest of its fields stays with the caller. */
#pragma once

#include <stdint.h>

#include "core/error.h"

/* A point in time that nobody has stated. */
#define TC_TIME_UNKNOWN INT64_MIN

/* One so long ago that every token has ended by now. */
#define TC_TIME_PAST INT64_C(-9000000000000000)

/* Seconds by which the clocks of those who share a token may differ. */
#define TC_CLOCK_TOLERANCE 300

/* A token is not used in so many seconds before its end: the end is known to the second only, and
   the request that carries the token takes time too. */
#define TC_LAST_SECONDS 2.0

/* Returns the point in time in whole seconds, or TC_TIME_UNKNOWN where it is too far away. */
static inline int64_t tc_time_of(double seconds) {
  return seconds > -9e15 && seconds < 9e15 ? (int64_t)seconds : TC_TIME_UNKNOWN;
}

typedef struct tc_token {
  tc_str access_token;
  tc_str token_type;
  tc_str refresh_token; /* empty counts as absent everywhere */
  tc_str scope;         /* absent: nobody said what was granted */
  /* what was asked for, kept only where less or other was granted: servers rename scopes, and
     asking again for the same would get the same answer at every call */
  tc_str requested_scope;
  tc_str client_id;      /* absent in tokens that the reference wrote */
  tc_str grant_digest;   /* of what the grant is about, where the client does not say it all */
  int64_t expires_in;    /* seconds as the server said, or TC_TIME_UNKNOWN */
  int64_t expires_at;    /* Unix seconds, or TC_TIME_UNKNOWN: does not expire as far as known */
  int64_t authorized_at; /* Unix seconds of the user's login, or TC_TIME_UNKNOWN */
} tc_token;

#define TC_TOKEN_NONE                                                                              \
  ((tc_token){.expires_in = TC_TIME_UNKNOWN,                                                       \
              .expires_at = TC_TIME_UNKNOWN,                                                       \
              .authorized_at = TC_TIME_UNKNOWN})

static inline bool tc_token_exists(const tc_token *token) {
  return token->access_token.len > 0;
}

/* Reports whether the text has a control character, which no token has (RFC 6749 §A.12): a line end
   in a request's header would begin another header. */
bool tc_token_has_control(tc_str text);

/* The time in which a token has `leeway` seconds or more left: Unix seconds, both ends included. */
typedef struct tc_window {
  double from; /* before it the clock must have been put back: nobody knows the token's end then */
  double until;
} tc_window;

/* The leeway takes half of a short life at most. A token that states only for how long it serves,
   and not until when, does not serve: nobody knows when that began. */
tc_window tc_token_window(const tc_token *token, double leeway);

static inline bool tc_window_holds(tc_window window, double now) {
  return now >= window.from && now <= window.until;
}

/* Makes `to`, which owns its strings, a copy of `from`. On TC_ERR_NOMEM `to` is as before. */
int tc_token_assign(tc_token *to, const tc_token *from, tc_error *err);

/* Erases and frees what tc_token_assign copied. */
void tc_token_clear(tc_token *token);
