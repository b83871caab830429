/* Grants: what the body of a token request holds (RFC 6749 §4). One entry each. */
#pragma once

#include "core/client.h"

/* What is exchanged for a token. */
typedef struct tc_credential {
  tc_str refresh_token;
  tc_str code;
  tc_str redirect_uri;  /* the one the code was sent to */
  tc_str code_verifier; /* RFC 7636; absent where no challenge was sent */
} tc_credential;

typedef struct tc_grant {
  const char *name; /* the grant_type */
  /* Adds the grant's own parameters. */
  void (*add_params)(tc_buf *body, const tc_client *client, const tc_credential *credential);
} tc_grant;

/* Which grants a flow is made of. */
typedef struct tc_flow {
  const char *name;
  const tc_grant *acquire; /* NULL: the login itself brings the token */
  const tc_grant *renew;   /* NULL: acquire anew */
  bool has_user;
} tc_flow;

/* NULL for an unknown name. */
const tc_flow *tc_flow_find(tc_str name);

/* Appends the request's body, in which the client does not say yet who it is. It may end up failed:
 * out of memory. */
void tc_grant_request(const tc_grant *grant, const tc_client *client,
                      const tc_credential *credential, tc_buf *body);

/* Appends the client's token_params, to a body that is not empty. */
void tc_grant_add_token_params(tc_buf *body, const tc_client *client);
