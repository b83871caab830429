/* What servers and transports say must not carry the request's secrets to messages and logs. */
#include "scene.h"

#define PARAM "p/ram+value"

static char shown[4096]; /* all of the error's texts */

static tc_client make_client(const char *auth_method) {
  tc_client_config config = fixture_config();
  config.auth_method = tc_str_of(auth_method);
  config.params = TC_STR("api_key=p%2Fram%2Bvalue&audience=https%3A%2F%2Fapi");
  return fixture_user_client(&config);
}

/* A renewal whose request has just been built, so that a test can quote it. */
static void begin_echo(const char *auth_method) {
  tc_token cached = fixture_login("old", "r3fresh/1", -5);
  begin_as(make_client(auth_method), BARE);
  STEP(LOAD, FOUND(cached));
  IS_AT(REQUEST);
}

static void end_echo(tc_result result) {
  STEP(REQUEST, result);
  IS_AT(FAIL);
  (void)snprintf(shown, sizeof shown, "%s|%s|%s", scene.engine.error.code,
                 scene.engine.error.description, scene.engine.error.message);
  end();
}

/* The server quotes `quote` in its error code and, at `offset`, in its description. */
static void quote_at(const char *auth_method, const char *quote, size_t offset) {
  char description[2048];
  tc_token_response answer = fixture_refusal(400, quote);
  begin_echo(auth_method);
  (void)snprintf(description, sizeof description, "%*s%s tail", (int)offset, "", quote);
  answer.error_description = text_value(description);
  end_echo(ANSWERED(answer));
}

static void check_hidden(const char *auth_method, const char *quote) {
  quote_at(auth_method, quote, 10);
  if (!CHECK(strstr(shown, quote) == NULL)) printf("#   %s\n", shown);
  CHECK(strstr(shown, "*****") != NULL && strstr(shown, " tail") != NULL);
}

static void test_hides_the_client_secret(void) {
  check_hidden("client_secret_basic", SECRET);
  check_hidden("client_secret_basic", "s3cr3t%2F%2B+%25");
  check_hidden("client_secret_post", SECRET);
  check_hidden("client_secret_post", "s3cr3t%2F%2B+%25");
  check_hidden("client_secret_post", "s3cr3t%2f%2b%20%25");
}

static void test_hides_basic_credentials_with_and_without_padding(void) {
  check_hidden("client_secret_basic", "dGhlK2NsaWVudDpzM2NyM3QlMkYlMkIrJTI1");
  tc_client_config config = fixture_config();
  config.client_id = TC_STR("ab");
  config.client_secret = TC_STR("cdef");
  tc_token_response answer = fixture_refusal(400, "no");
  begin_as(fixture_client(&config), BARE);
  STEP(LOAD, NONE);
  CHECK_TEXT(scene.engine.client->authorization, "Basic YWI6Y2RlZg==");
  answer.error_description = text_value("bad header: YWI6Y2RlZg== YWI6Y2RlZg");
  end_echo(ANSWERED(answer));
  CHECK(strstr(shown, "YWI6Y2RlZ") == NULL);
}

static void test_hides_the_refresh_token(void) {
  check_hidden("none", "r3fresh/1");
  check_hidden("none", "r3fresh%2F1");
  check_hidden("none", "r3fresh%2f1");
}

static void test_hides_parameters_of_the_users(void) {
  check_hidden("none", PARAM);
  check_hidden("none", "p%2Fram%2Bvalue");
}

static void test_hides_the_whole_body(void) {
  char body[512];
  begin_echo("client_secret_post");
  (void)snprintf(body, sizeof body, "cannot parse %s", scene.engine.request.body.data);
  tc_token_response answer = fixture_refusal(400, "invalid_request");
  answer.error_description = text_value(body);
  end_echo(ANSWERED(answer));
  CHECK(strstr(shown, "cannot parse grant_type=refresh_token") != NULL);
  CHECK(strstr(shown, "s3cr3t") == NULL && strstr(shown, "r3fresh") == NULL);
  CHECK(strstr(shown, "p%2Fram") == NULL);
}

/* The description is cut to 255 bytes: a secret that lies across the cut must not leave a piece. */
static void test_hides_what_the_cut_would_leave(void) {
  for (size_t offset = 230; offset <= 256; offset++) {
    quote_at("client_secret_basic", SECRET, offset);
    CHECK(strstr(shown, "s3") == NULL);
  }
  for (size_t offset = 50; offset <= 64; offset++) { /* and the code to 63 */
    char code[128];
    (void)snprintf(code, sizeof code, "%0*d%s", (int)offset, 0, SECRET);
    quote_at("client_secret_basic", code, 0);
    CHECK(strstr(shown, "s3") == NULL);
  }
}

static void test_hides_secrets_in_a_transports_error(void) {
  tc_error broken = TC_ERROR_NONE;
  (void)tc_error_set(&broken, TC_ERR_NETWORK, "POST %s r3fresh%%2F1 failed", SECRET);
  begin_echo("client_secret_post");
  STEP(REQUEST, BROKE(broken)); /* which is sent once more */
  end_echo(BROKE(broken));
  CHECK(strstr(shown, "s3cr3t") == NULL && strstr(shown, "r3fresh") == NULL);
  CHECK(strstr(shown, "POST *") != NULL && strstr(shown, "* failed") != NULL);
}

static void test_shows_what_is_public(void) {
  quote_at("client_secret_post", "scope a b of the client for https://api", 0);
  CHECK(strstr(shown, "scope a b of the client for https://api") != NULL);
}

static void test_a_secret_that_is_a_word_changes_no_kind(void) {
  tc_client_config config = fixture_config();
  config.client_secret = TC_STR("client");
  tc_token_response answer = fixture_refusal(401, "invalid_client");
  answer.error_description = text_value("unknown client!");
  begin_as(fixture_client(&config), BARE);
  STEP(LOAD, NONE);
  STEP(REQUEST, ANSWERED(answer));
  FAILS(TC_ERR_CONFIG);
  CHECK_TEXT(scene.engine.error.code, "invalid_client");
  CHECK_TEXT(scene.engine.error.description, "unknown ******!");
  end();
}

static void test_freeing_erases(void) {
  begin_echo("client_secret_post");
  end();
  CHECK(scene.engine.request.body.data == NULL &&
        scene.engine.best.token.refresh_token.data == NULL);
  CHECK(scene.engine.error.message[0] == '\0' && scene.client.client_secret == NULL);
}

int main(void) {
  RUN(test_hides_the_client_secret);
  RUN(test_hides_basic_credentials_with_and_without_padding);
  RUN(test_hides_the_refresh_token);
  RUN(test_hides_parameters_of_the_users);
  RUN(test_hides_the_whole_body);
  RUN(test_hides_what_the_cut_would_leave);
  RUN(test_hides_secrets_in_a_transports_error);
  RUN(test_shows_what_is_public);
  RUN(test_a_secret_that_is_a_word_changes_no_kind);
  RUN(test_freeing_erases);
  return done();
}
