/* A one-shot redirect listener (RFC 8252 §7.3) on a loopback address, over libmicrohttpd: waits
   for the browser to come back from the authorization server. No threads; it works, and accepts
   connections, only while polled. What does not carry our state is answered and forgotten. */
#ifndef TC_REDIRECT_H
#define TC_REDIRECT_H

#include <stdint.h>

#include "core/error.h"

#define TC_REDIRECT_LONGEST_POLL 0.25 /* seconds */
#define TC_REDIRECT_BODY_LIMIT 65536  /* bytes of a fragment that is handed over */

typedef struct tc_redirect tc_redirect;

typedef struct tc_redirect_options {
  const char *host; /* "127.0.0.1" or "::1" */
  uint16_t port;    /* 0: any that is free */
  tc_str path;      /* of the redirect URI, as written there; starts with '/' */
  tc_str state;     /* what the callback must carry; not empty */
  bool fragment;    /* the answer is in the URL's fragment: a page hands it over */
} tc_redirect_options;

/* Binds and listens. What `options` points at is copied. */
int tc_redirect_open(tc_redirect **redirect, const tc_redirect_options *options, tc_error *err);

uint16_t tc_redirect_port(const tc_redirect *redirect);

/* Serves what comes, for at most `seconds` and never longer than TC_REDIRECT_LONGEST_POLL. Once
   the callback came and its answer was sent, `*query` is what it carried, still encoded; absent
   until then. It is valid until the listener is closed. A query that holds a NUL ends there. */
int tc_redirect_poll(tc_redirect *redirect, double seconds, tc_str *query, tc_error *err);

/* Stops listening, erases and frees; NULL is no listener. */
void tc_redirect_close(tc_redirect *redirect);

#endif
