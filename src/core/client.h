/* The OAuth client: who asks, where, and for what. Fixed once made, but for where. */
#pragma once

#include "core/buf.h"
#include "core/token.h"

/* RFC 6749 §2.3.1; the names are those of RFC 8414's token_endpoint_auth_methods_supported */
typedef enum tc_auth_method {
  TC_AUTH_CLIENT_SECRET_BASIC,
  TC_AUTH_CLIENT_SECRET_POST,
  TC_AUTH_NONE,
} tc_auth_method;

struct tc_grant;

typedef struct tc_client {
  const struct tc_grant *acquire; /* gets a token where there is none; NULL: the login brings it */
  const struct tc_grant *renew;   /* turns a refresh token into a token; NULL: acquire anew */
  bool keeps_dead;                /* leave a refresh token that the server refused in the cache */
  bool reuses;   /* a refresh token stays the same when it is used: nothing is lost by that */
  bool has_user; /* tokens stand for a login: one lost is a login lost */
  tc_auth_method auth_method;
  bool discovers;            /* where is to be asked for before each request (RFC 8414) */
  bool allow_insecure_http;  /* token_url may be plain http to another machine */
  bool basic_is_raw;         /* the provider does not decode what Basic holds */
  bool scope_on_refresh;     /* it is sent with a refresh token too */
  double leeway;             /* seconds before expires_at at which a token counts as expired */
  double default_expires_in; /* seconds, where an answer does not say; 0: none */
  char *token_url;           /* NULL: not known yet */
  char *endpoint;            /* token_url without its query, or the issuer, for messages */
  char *client_id;
  char *client_secret; /* may be empty */
  char *scope;         /* normalized; may be empty */
  char *sent_scope;    /* the same, separated as the provider wants it */
  char *acquire_type;  /* the grant_type of `acquire`, and that of `renew`, as they are sent */
  char *renew_type;
  char *params;        /* form-encoded token_params; may be empty */
  char *authorization; /* the header's value; empty where it is not how the client authenticates */
} tc_client;

typedef struct tc_client_config {
  tc_str flow; /* "client_credentials" */
  tc_str auth_method;
  tc_str issuer; /* where there is no token_url: the client must be told it, and auth_method */
  tc_str token_url, client_id, client_secret, scope, params;
  tc_str scope_separator;          /* absent: a blank */
  tc_str acquire_type, renew_type; /* absent: as the RFCs name the grants */
  double leeway, default_expires_in;
  bool keeps_dead;
  bool reuses;
  bool allow_insecure_http;
  bool basic_is_raw;
  bool scope_on_refresh;
} tc_client_config;

/* Fills `client` from `config`, or says which option is wrong and why. */
int tc_client_init(tc_client *client, const tc_client_config *config, tc_error *err);

/* Says where requests go from now on, and how they are authenticated. After an error the client is
   what it was. */
int tc_client_set_endpoint(tc_client *client, tc_str token_url, tc_str auth_method, tc_error *err);

/* Erases and frees; the client is empty afterwards. */
void tc_client_free(tc_client *client);

typedef enum tc_fitness {
  TC_FIT,      /* serves, and has more than the leeway left */
  TC_EXPIRING, /* serves, though less than the leeway is left */
  TC_EXPIRED,  /* would serve if it had not expired, or were not about to */
  TC_UNFIT,    /* of another client, or without a wanted scope */
} tc_fitness;

/* Whether `token` is a user's login, which a flow without users must neither use nor overwrite. */
bool tc_client_shuns(const tc_client *client, const tc_token *token);

/* Whether `token` is of this client and has the scopes wanted. */
bool tc_client_owns(const tc_client *client, const tc_token *token);

/* What `token` is worth to this client at `now` (Unix seconds). */
tc_fitness tc_client_judge(const tc_client *client, const tc_token *token, double now);
