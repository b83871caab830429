/* What must be kept between sending a user away to log in and the user's return. */
#pragma once

#include <stdint.h>

#include "core/buf.h"
#include "core/error.h"

/* X(member) */
#define TC_PENDING_FIELDS(X)                                                                       \
  X(state)                                                                                         \
  X(code_verifier)                                                                                 \
  X(issuer)                                                                                        \
  X(client_id)                                                                                     \
  X(redirect_uri)                                                                                  \
  X(nonce)                                                                                         \
  X(dpop_key)

typedef struct tc_pending {
#define X(member) tc_buf member;
  TC_PENDING_FIELDS(X)
#undef X
  int64_t created; /* Unix seconds */
} tc_pending;

#define TC_PENDING_LIFETIME 600 /* seconds */
#define TC_PENDING_MAX 8192     /* bytes */

/* Appends the pending as text: a version and form-encoded fields. */
void tc_pending_write(tc_buf *out, const tc_pending *pending);

/* Reads what tc_pending_write wrote. Anything else, and another version, is TC_ERR_STATE;
   there is TC_ERR_NOMEM too. `pending` must be zeroed before. */
int tc_pending_read(tc_pending *pending, tc_str text, tc_error *err);

/* Whether the pending is of this client and redirect URI and not older than its lifetime. */
int tc_pending_check(const tc_pending *pending, tc_str client_id, tc_str redirect_uri, double now,
                     tc_error *err);

void tc_pending_free(tc_pending *pending);
