#include "core/client.h"
#include "fixture.h"

static void check_refused(tc_client_config config, const char *message) {
  tc_client client;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_client_init(&client, &config, &err), TC_ERR_INVALID);
  if (!CHECK(strstr(err.message, message) != NULL)) printf("#   %s\n", err.message);
  CHECK(client.token_url == NULL);
}

static void test_keeps_what_it_was_given(void) {
  tc_client_config config = fixture_config();
  config.params = TC_STR("audience=x");
  tc_client client = fixture_client(&config);
  CHECK_TEXT(client.token_url, ENDPOINT "?tenant=t3nant");
  CHECK_TEXT(client.endpoint, ENDPOINT);
  CHECK_TEXT(client.client_id, "the client");
  CHECK_TEXT(client.scope, "a b");
  CHECK_TEXT(client.params, "audience=x");
  CHECK(client.leeway == 60 && !client.has_user && client.renew == NULL);
  CHECK(!client.reuses && !client.keeps_dead);
  tc_client_free(&client);
  CHECK(client.token_url == NULL);
  tc_client_free(&client);
}

static void test_refuses_each_bad_option_by_its_name(void) {
  tc_client_config config = fixture_config();
  config.flow = TC_STR("password");
  check_refused(config, "unknown flow");
  config = fixture_config();
  config.client_id = TC_STR("");
  check_refused(config, "client_id");
  config.client_id = TC_STR("a\0b");
  check_refused(config, "client_id has a control character (byte 2 of 3); it may");
  config = fixture_config();
  config.scope = TC_STR("caf\303\251");
  check_refused(config, "scope has a byte that is not ASCII (byte 4 of 5); it may");
  config.scope = TC_STR("a\nb");
  check_refused(config, "scope has a line feed (byte 2 of 3); it may");
  config.scope = TC_STR("a\\b");
  check_refused(config, "scope: ");
}

static void check_text(tc_str text, const char *problem) {
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_client_check_text("secret", text, &err), TC_ERR_INVALID);
  CHECK(strncmp(err.message, problem, strlen(problem)) == 0);
}

static void test_says_what_is_wrong_with_a_secret(void) {
  check_text(TC_STR("s3cr3t\n"), "secret has a line feed at its end (byte 7 of 7); it may");
  check_text(TC_STR("s3cr3t\r\n"), "secret has a carriage return (byte 7 of 8); it may");
  check_text(TC_STR("\ts3cr3t"), "secret has a tab (byte 1 of 7); it may");
  check_text(TC_STR("s3cr3t\x7F"), "secret has a control character at its end (byte 7 of 7)");
}

static void test_refuses_a_token_url_that_leaks(void) {
  tc_client_config config = fixture_config();
  config.token_url = TC_STR("http://id.example/token");
  check_refused(config, "must be https");
  config.token_url = TC_STR("https://id.example/token#x");
  check_refused(config, "fragment");
  config.token_url = TC_STR("id.example/token");
  check_refused(config, "token_url: ");
  config.token_url = TC_STR_NONE;
  check_refused(config, "token_url: ");
  config.token_url = TC_STR("http://127.0.0.1:8080/token");
  tc_client client = fixture_client(&config);
  tc_client_free(&client);
}

static void test_a_client_that_discovers_is_told_where(void) {
  tc_client_config config = fixture_issuer_config();
  tc_client client = fixture_client(&config);
  tc_error err = TC_ERROR_NONE;
  CHECK(client.discovers && client.token_url == NULL);
  CHECK_TEXT(client.endpoint, "https://id.example");
  CHECK_NUM(tc_client_set_endpoint(&client, TC_STR(ENDPOINT "?a=b"), &err), 0);
  CHECK_TEXT(client.token_url, ENDPOINT "?a=b");
  CHECK_TEXT(client.endpoint, ENDPOINT);
  CHECK_NUM(tc_client_set_endpoint(&client, TC_STR("http://id.example/token"), &err),
            TC_ERR_INVALID);
  CHECK_TEXT(client.token_url, ENDPOINT "?a=b");
  CHECK_NUM(tc_client_set_endpoint(&client, TC_STR("https://b.example/"), &err), 0);
  CHECK_TEXT(client.token_url, "https://b.example/");
  tc_client_free(&client);
}

static void check_worth(tc_token token, double now, tc_fitness want) {
  tc_client_config config = fixture_config();
  tc_client client = fixture_client(&config);
  CHECK_NUM(tc_client_judge(&client, &token, now), want);
  tc_client_free(&client);
}

static void test_a_token_expires_a_leeway_early(void) {
  check_worth(fixture_token("t", 60), NOW, TC_FIT);
  check_worth(fixture_token("t", 60), NOW + 0.5, TC_EXPIRING);
  check_worth(fixture_token("t", 59), NOW, TC_EXPIRING);
  check_worth(fixture_token("t", 2), NOW, TC_EXPIRING);
  check_worth(fixture_token("t", 2), NOW + 0.5, TC_EXPIRED);
  check_worth(fixture_token("t", 0), NOW, TC_EXPIRED);
  check_worth(fixture_token("t", 0), NOW + 0.5, TC_EXPIRED);
  check_worth(fixture_token("t", -1), NOW, TC_EXPIRED);
}

static void test_a_token_that_states_no_end_has_none(void) {
  tc_token token = fixture_token("t", 0);
  token.expires_at = TC_TIME_UNKNOWN;
  check_worth(token, NOW, TC_FIT);
  check_worth(token, 1e300, TC_FIT);
}

static void test_the_wanted_scopes_must_be_granted(void) {
  tc_token token = fixture_token("t", 3600);
  token.scope = TC_STR("c b a");
  check_worth(token, NOW, TC_FIT);
  token.scope = TC_STR("a c");
  check_worth(token, NOW, TC_UNFIT);
  token.scope = TC_STR_NONE;
  check_worth(token, NOW, TC_UNFIT);
}

static void test_a_narrower_grant_serves_who_asked_for_no_more(void) {
  tc_token token = fixture_token("t", 3600);
  token.scope = TC_STR("a");
  token.requested_scope = TC_STR("a b c");
  check_worth(token, NOW, TC_FIT);
  token.requested_scope = TC_STR("a c");
  check_worth(token, NOW, TC_UNFIT);
}

static void test_a_token_of_another_grant_is_unfit(void) {
  tc_token token = fixture_token("t", 3600);
  token.grant_digest = TC_STR("of another");
  check_worth(token, NOW, TC_UNFIT);
  token.grant_digest = TC_STR("");
  check_worth(token, NOW, TC_FIT);
}

static void test_a_token_of_another_client_is_unfit(void) {
  tc_token token = fixture_token("t", 3600);
  token.client_id = TC_STR("another");
  check_worth(token, NOW, TC_UNFIT);
  token.client_id = TC_STR("the client");
  check_worth(token, NOW, TC_FIT);
  token.client_id = TC_STR_NONE; /* the reference writes none */
  check_worth(token, NOW, TC_FIT);
}

static void test_a_flow_without_users_shuns_logins(void) {
  tc_client_config config = fixture_config();
  tc_client client = fixture_client(&config);
  tc_token login = fixture_login("t", "r", 3600), token = fixture_token("t", 3600);
  CHECK(tc_client_shuns(&client, &login));
  CHECK(!tc_client_shuns(&client, &token));
  token.refresh_token = TC_STR("");
  CHECK(!tc_client_shuns(&client, &token));
  tc_client_free(&client);
  client = fixture_user_client(&config);
  CHECK(!tc_client_shuns(&client, &login));
  tc_client_free(&client);
}

int main(void) {
  RUN(test_keeps_what_it_was_given);
  RUN(test_refuses_each_bad_option_by_its_name);
  RUN(test_says_what_is_wrong_with_a_secret);
  RUN(test_refuses_a_token_url_that_leaks);
  RUN(test_a_client_that_discovers_is_told_where);
  RUN(test_a_token_expires_a_leeway_early);
  RUN(test_a_token_that_states_no_end_has_none);
  RUN(test_the_wanted_scopes_must_be_granted);
  RUN(test_a_narrower_grant_serves_who_asked_for_no_more);
  RUN(test_a_token_of_another_grant_is_unfit);
  RUN(test_a_token_of_another_client_is_unfit);
  RUN(test_a_flow_without_users_shuns_logins);
  return done();
}
