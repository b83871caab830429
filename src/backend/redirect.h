/* A one-shot redirect listener (RFC 8252 §7.3) on a loopback address, over libmicrohttpd: waits
   for the browser to come back from the authorization server. No threads; it works, and accepts
   connections, only while polled. What does not carry our state is answered and forgotten, and so
   is what another user of the machine sends. */
#pragma once

#include <stdint.h>

#include "core/error.h"

#define TC_REDIRECT_LONGEST_POLL 0.25 /* seconds */
#define TC_REDIRECT_BODY_LIMIT 65536  /* bytes of a fragment that is handed over */

typedef struct tc_redirect tc_redirect;

typedef struct tc_redirect_options {
  const char *host; /* "127.0.0.1", "::1", or "localhost" for both */
  uint16_t port;    /* 0: any that is free */
  tc_str path;      /* of the redirect URI, as written there; starts with '/' */
  tc_str state;     /* what the callback must carry; not empty */
  bool fragment;    /* the answer is in the URL's fragment: a page hands it over */
  bool form_post;   /* it is a form that the provider's page posts (OAuth 2.0 Form Post) */
} tc_redirect_options;

/* Binds and listens. What `options` points at is copied. */
int tc_redirect_open(tc_redirect **redirect, const tc_redirect_options *options, tc_error *err);

uint16_t tc_redirect_port(const tc_redirect *redirect);

/* From now on a GET for `path`, which nobody must be able to guess, sends the browser to `url`. So
   the command that starts the browser need not hold the URL: commands can be read by all users.
   Other users are not sent there. */
int tc_redirect_send_to(tc_redirect *redirect, tc_str path, const char *url, tc_error *err);

/* Whether another user has tried to begin or to end this login; whose id is TC_PEER_UNKNOWN where
   it cannot be told. */
bool tc_redirect_met_stranger(const tc_redirect *redirect, int64_t *uid);

/* Serves what comes, for at most `seconds` and never longer than TC_REDIRECT_LONGEST_POLL. Once
   the callback came and its answer was sent, `*query` is what it carried, still encoded; absent
   until then. It is valid until the listener is closed. A query that holds a NUL ends there. */
int tc_redirect_poll(tc_redirect *redirect, double seconds, tc_str *query, tc_error *err);

/* Stops listening, erases and frees; NULL is no listener. */
void tc_redirect_close(tc_redirect *redirect);
