/* A client, its tokens, and the answers it gets. */
#ifndef TC_FIXTURE_H
#define TC_FIXTURE_H

#include "core/form.h"
#include "core/grant.h"
#include "core/token_response.h"
#include "test.h"

#define NOW 1760000000.0 /* Unix seconds */
#define LOGIN_TIME 1750000000
#define SECRET "s3cr3t/+ %"
#define ENDPOINT "https://id.example/token"

static inline tc_client_config fixture_config(void) {
  return (tc_client_config){.flow = TC_STR("client_credentials"),
                            .token_url = TC_STR(ENDPOINT "?tenant=t3nant"),
                            .client_id = TC_STR("the client"),
                            .scope = TC_STR("b a"),
                            .remedy = TC_STR("check client_id"),
                            .leeway = 60};
}

static inline tc_client fixture_client(const tc_client_config *config) {
  tc_client client;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_client_init(&client, config, &err), 0);
  return client;
}

/* The same, but for where it asks: it has to be told. */
static inline tc_client_config fixture_issuer_config(void) {
  tc_client_config config = fixture_config();
  config.issuer = TC_STR("https://id.example");
  config.token_url = TC_STR_NONE;
  return config;
}

/* A client whose tokens are logins and can be renewed. */
static inline tc_client fixture_user_client(const tc_client_config *config) {
  tc_client_config user = *config;
  user.flow = TC_STR("authorization_code");
  return fixture_client(&user);
}

/* A public client (RFC 6749 §2.1) of another flow. */
static inline tc_client fixture_public_client(const char *flow) {
  tc_client_config config = fixture_config();
  config.flow = tc_str_of(flow);
  return fixture_client(&config);
}

/* One that the fixture's client may use for `left` seconds from NOW. */
static inline tc_token fixture_token(const char *access_token, int left) {
  tc_token token = TC_TOKEN_NONE;
  token.access_token = tc_str_of(access_token);
  token.scope = TC_STR("a b");
  token.expires_at = (int64_t)NOW + left;
  return token;
}

static inline tc_token fixture_login(const char *access_token, const char *refresh_token,
                                     int left) {
  tc_token token = fixture_token(access_token, left);
  token.refresh_token = tc_str_of(refresh_token);
  token.client_id = TC_STR("the client");
  token.authorized_at = LOGIN_TIME;
  return token;
}

static inline tc_value text_value(const char *text) {
  return (tc_value){TC_VALUE_STRING, tc_str_of(text), 0};
}

static inline tc_value number_value(double number) {
  return (tc_value){TC_VALUE_NUMBER, TC_STR_NONE, number};
}

static inline tc_token_response fixture_answer(const char *access_token) {
  return (tc_token_response){.status = 200,
                             .retry_after = -1,
                             .is_object = true,
                             .access_token = text_value(access_token),
                             .token_type = text_value("Bearer"),
                             .expires_in = number_value(3600)};
}

/* `refresh_token` may be NULL. */
static inline tc_token_response fixture_login_answer(const char *access_token,
                                                     const char *refresh_token) {
  tc_token_response answer = fixture_answer(access_token);
  if (refresh_token != NULL) answer.refresh_token = text_value(refresh_token);
  return answer;
}

static inline tc_token_response fixture_status(int status) {
  return (tc_token_response){.status = status, .retry_after = -1};
}

static inline tc_token_response fixture_refusal(int status, const char *code) {
  return (tc_token_response){
      .status = status, .retry_after = -1, .is_object = true, .error = text_value(code)};
}

#endif
