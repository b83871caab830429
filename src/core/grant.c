#include "core/grant.h"

#include "core/form.h"

static void add_scope(tc_buf *body, const tc_client *client) {
  tc_str scope = tc_str_of(client->sent_scope);
  if (scope.len > 0) tc_form_add(body, TC_STR("scope"), scope);
}

/* RFC 6749 §4.4.2; and grants whose own parameters the caller adds */
static void client_credentials(tc_buf *body, const tc_client *client,
                               const tc_credential *credential) {
  (void)credential;
  add_scope(body, client);
}

/* RFC 6749 §4.1.3, RFC 7636 §4.5 */
static void authorization_code(tc_buf *body, const tc_client *client,
                               const tc_credential *credential) {
  (void)client;
  tc_form_add(body, TC_STR("code"), credential->code);
  tc_form_add(body, TC_STR("redirect_uri"), credential->redirect_uri);
  if (credential->code_verifier.len > 0) {
    tc_form_add(body, TC_STR("code_verifier"), credential->code_verifier);
  }
}

/* RFC 6749 §6; without a scope that of the login stays */
static void refresh_token(tc_buf *body, const tc_client *client, const tc_credential *credential) {
  tc_form_add(body, TC_STR("refresh_token"), credential->refresh_token);
  if (client->scope_on_refresh) add_scope(body, client);
}

static const tc_grant grant_client_credentials = {"client_credentials", client_credentials};
static const tc_grant grant_jwt_bearer = {"urn:ietf:params:oauth:grant-type:jwt-bearer",
                                          client_credentials};
static const tc_grant grant_token_exchange = {"urn:ietf:params:oauth:grant-type:token-exchange",
                                              client_credentials};
static const tc_grant grant_other = {"", client_credentials};
static const tc_grant grant_authorization_code = {"authorization_code", authorization_code};
static const tc_grant grant_refresh_token = {"refresh_token", refresh_token};

static const tc_flow flows[] = {
    {"client_credentials", &grant_client_credentials, NULL, false},
    {"jwt_bearer", &grant_jwt_bearer, NULL, false},
    {"token_exchange", &grant_token_exchange, NULL, false},
    {"grant", &grant_other, NULL, false},
    {"authorization_code", &grant_authorization_code, &grant_refresh_token, true},
    {"pkce", &grant_authorization_code, &grant_refresh_token, true},
    {"device", NULL, &grant_refresh_token, true},
    {"implicit", NULL, NULL, true},
};

const tc_flow *tc_flow_find(tc_str name) {
  for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
    if (tc_str_equal(tc_str_of(flows[i].name), name)) return &flows[i];
  }
  return NULL;
}

void tc_grant_add_token_params(tc_buf *body, const tc_client *client) {
  if (client->params[0] == '\0') return;
  tc_buf_add_char(body, '&');
  tc_buf_add_text(body, client->params);
}

void tc_grant_request(const tc_grant *grant, const tc_client *client,
                      const tc_credential *credential, tc_buf *body) {
  const char *type = grant == client->renew ? client->renew_type : client->acquire_type;
  tc_form_add(body, TC_STR("grant_type"), tc_str_of(type));
  grant->add_params(body, client, credential);
  tc_grant_add_token_params(body, client);
}
