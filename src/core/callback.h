/* The authorization response: what comes back through the browser (RFC 6749 §4.1.2, §4.2.2). */
#pragma once

#include "core/buf.h"
#include "core/error.h"

/* X(member): the parameters that mean something to us */
#define TC_CALLBACK_PARAMS(X)                                                                      \
  X(code)                                                                                          \
  X(state)                                                                                         \
  X(iss)                                                                                           \
  X(error)                                                                                         \
  X(error_description)                                                                             \
  X(access_token)                                                                                  \
  X(token_type)                                                                                    \
  X(expires_in)                                                                                    \
  X(scope)

typedef struct tc_callback {
#define X(member) tc_buf member;
  TC_CALLBACK_PARAMS(X) /* no data: the parameter was not there */
#undef X
} tc_callback;

/* Longer responses are refused. */
#define TC_CALLBACK_MAX 65536

/* Reads a whole URL, its query or fragment alone (with or without '?' or '#'), or, where there is
   neither '=' nor a scheme, the bare code. A parameter given twice (RFC 6749 §3.1), a NUL and a
   broken percent-encoding are TC_ERR_PROTOCOL. `callback` must be zeroed before. */
int tc_callback_read(tc_callback *callback, tc_str text, tc_error *err);

typedef struct tc_callback_expectation {
  tc_str state;
  tc_str issuer;     /* absent: not checked */
  bool iss_optional; /* a response without iss passes (RFC 9207 §2.4) */
} tc_callback_expectation;

/* Whether the response belongs to this authorization, and what it says: TC_ERR_STATE, then
   TC_ERR_DENIED where the server reports an error, else 0. */
int tc_callback_check(const tc_callback *callback, const tc_callback_expectation *expected,
                      tc_error *err);

void tc_callback_free(tc_callback *callback);
