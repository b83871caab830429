/* The OAuth client: who asks, where, and for what. Fixed once made, but for where. */
#pragma once

#include "core/buf.h"
#include "core/token.h"

struct tc_grant;

typedef struct tc_client {
  const struct tc_grant *acquire; /* gets a token where there is none; NULL: the login brings it */
  const struct tc_grant *renew;   /* turns a refresh token into a token; NULL: acquire anew */
  bool dpop;                      /* tokens may be bound to a key (RFC 9449) */
  bool keeps_dead;                /* leave a refresh token that the server refused in the cache */
  bool reuses;    /* a refresh token stays the same when it is used: nothing is lost by that */
  bool has_user;  /* tokens stand for a login: one lost is a login lost */
  bool discovers; /* where is to be asked for before each request (RFC 8414) */
  bool allow_insecure_http;  /* token_url may be plain http to another machine */
  bool scope_on_refresh;     /* it is sent with a refresh token too */
  double leeway;             /* seconds before expires_at at which a token counts as expired */
  double default_expires_in; /* seconds, where an answer does not say; 0: none */
  char *token_url;           /* NULL: not known yet */
  char *endpoint;            /* token_url without its query, or the issuer, for messages */
  char *client_id;
  char *grant_digest; /* see tc_token; may be empty */
  char *scope;        /* normalized; may be empty */
  char *sent_scope;   /* the same, separated as the provider wants it */
  char *acquire_type; /* the grant_type of `acquire`, and that of `renew`, as they are sent */
  char *renew_type;
  char *params; /* form-encoded token_params; may be empty */
  char *remedy; /* what to check where the provider refuses the client */
} tc_client;

typedef struct tc_client_config {
  tc_str flow;   /* "client_credentials" */
  tc_str issuer; /* where there is no token_url: the client must be told it */
  tc_str token_url, client_id, grant_digest, scope, params, remedy;
  tc_str scope_separator;          /* absent: a blank */
  tc_str acquire_type, renew_type; /* absent: as the RFCs name the grants */
  double leeway, default_expires_in;
  bool dpop;
  bool keeps_dead;
  bool reuses;
  bool allow_insecure_http;
  bool scope_on_refresh;
} tc_client_config;

/* Fills `client` from `config`, or says which option is wrong and why. */
int tc_client_init(tc_client *client, const tc_client_config *config, tc_error *err);

/* Says where requests go from now on. After an error the client is what it was. */
int tc_client_set_endpoint(tc_client *client, tc_str token_url, tc_error *err);

/* Checks an id or a secret (RFC 6749 appendix A). What was read from a file often ends with its
   line. */
int tc_client_check_text(const char *name, tc_str text, tc_error *err);

/* Erases and frees; the client is empty afterwards. */
void tc_client_free(tc_client *client);

typedef enum tc_fitness {
  TC_FIT,      /* serves, and has more than the leeway left */
  TC_EXPIRING, /* serves, though less than the leeway is left */
  TC_EXPIRED,  /* would serve if it had not expired, or were not about to */
  TC_UNFIT,    /* of another client or grant, or without a wanted scope */
} tc_fitness;

/* Whether `token` is a user's login, which a flow without users must neither use nor overwrite. */
bool tc_client_shuns(const tc_client *client, const tc_token *token);

/* Whether `token` is of this client, for what its grant is about, and has the scopes wanted. */
bool tc_client_owns(const tc_client *client, const tc_token *token);

/* What `token` is worth to this client at `now` (Unix seconds). */
tc_fitness tc_client_judge(const tc_client *client, const tc_token *token, double now);
