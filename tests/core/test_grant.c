/* The bodies of requests to the token endpoint, and to others. */
#include "core/grant.h"

#include "fixture.h"

static void check_request(const tc_client_config *config, const char *body) {
  tc_client client = fixture_client(config);
  tc_credential credential = {.code = TC_STR_NONE};
  tc_buf got = TC_BUF_EMPTY;
  tc_grant_request(client.acquire, &client, &credential, &got);
  CHECK_STR(tc_buf_str(&got), tc_str_of(body));
  tc_buf_free(&got);
  tc_client_free(&client);
}

static void test_the_request_is_made_as_configured(void) {
  tc_client_config config = fixture_config();
  check_request(&config, "grant_type=client_credentials&scope=a+b");
  config.scope = TC_STR_NONE;
  config.params = TC_STR("audience=https%3A%2F%2Fapi");
  check_request(&config, "grant_type=client_credentials&audience=https%3A%2F%2Fapi");
}

static void test_grants_have_the_names_that_the_provider_gives_them(void) {
  tc_client_config config = fixture_config();
  config.acquire_type = TC_STR("account credentials");
  config.renew_type = TC_STR("other");
  check_request(&config, "grant_type=account+credentials&scope=a+b");
}

static void check_flow(const char *name, const char *acquire, const char *renew, bool has_user) {
  const tc_flow *flow = tc_flow_find(tc_str_of(name));
  if (!CHECK(flow != NULL)) return;
  CHECK((flow->acquire != NULL) == (acquire != NULL) && (flow->renew != NULL) == (renew != NULL));
  if (acquire != NULL && flow->acquire != NULL) CHECK_TEXT(flow->acquire->name, acquire);
  if (renew != NULL && flow->renew != NULL) CHECK_TEXT(flow->renew->name, renew);
  CHECK(flow->has_user == has_user);
}

static void test_what_flows_are_made_of(void) {
  check_flow("client_credentials", "client_credentials", NULL, false);
  check_flow("jwt_bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer", NULL, false);
  check_flow("token_exchange", "urn:ietf:params:oauth:grant-type:token-exchange", NULL, false);
  check_flow("grant", "", NULL, false);
  check_flow("authorization_code", "authorization_code", "refresh_token", true);
  check_flow("pkce", "authorization_code", "refresh_token", true);
  check_flow("implicit", NULL, NULL, true);
  CHECK(tc_flow_find(TC_STR("password")) == NULL);
}

int main(void) {
  RUN(test_the_request_is_made_as_configured);
  RUN(test_grants_have_the_names_that_the_provider_gives_them);
  RUN(test_what_flows_are_made_of);
  return done();
}
