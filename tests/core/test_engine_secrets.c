/* What servers and transports say must not carry the request's secrets to messages and logs. */
#include "scene.h"

#define PARAM "p/ram+value"

static char shown[4096]; /* all of the error's texts */

static tc_client make_client(void) {
  tc_client_config config = fixture_config();
  config.params = TC_STR("api_key=p%2Fram%2Bvalue&audience=https%3A%2F%2Fapi");
  return fixture_user_client(&config);
}

/* A renewal whose request has just been built, so that a test can quote it. */
static void begin_echo(void) {
  tc_token cached = fixture_login("old", "r3fresh/1", -5);
  begin_as(make_client(), BARE);
  STEP(LOAD, FOUND(cached));
  STEP(PROBE, OK);
  IS_AT(REQUEST);
}

/* The caller has added the client's secret. */
static tc_result sent(tc_result result) {
  static char text[1024];
  (void)snprintf(text, sizeof text, "%s&client_secret=s3cr3t%%2F%%2B+%%25",
                 tc_buf_str(&scene.engine.request.body).data);
  result.sent = tc_str_of(text);
  return result;
}

static void end_echo(tc_result result) {
  STEP(REQUEST, sent(result));
  IS_AT(FAIL);
  (void)snprintf(shown, sizeof shown, "%s|%s|%s", scene.engine.error.code,
                 scene.engine.error.description, scene.engine.error.message);
  end();
}

/* The server quotes `quote` in its error code and, at `offset`, in its description. */
static void quote_at(const char *quote, size_t offset) {
  char description[2048];
  tc_token_response answer = fixture_refusal(400, quote);
  begin_echo();
  (void)snprintf(description, sizeof description, "%*s%s tail", (int)offset, "", quote);
  answer.error_description = text_value(description);
  end_echo(ANSWERED(answer));
}

static void check_hidden(const char *quote) {
  quote_at(quote, 10);
  if (!CHECK(strstr(shown, quote) == NULL)) printf("#   %s\n", shown);
  CHECK(strstr(shown, "*****") != NULL && strstr(shown, " tail") != NULL);
}

static void test_hides_the_client_secret(void) {
  check_hidden(SECRET);
  check_hidden("s3cr3t%2F%2B+%25");
  check_hidden("s3cr3t%2f%2b%20%25");
}

static void test_hides_the_refresh_token(void) {
  check_hidden("r3fresh/1");
  check_hidden("r3fresh%2F1");
  check_hidden("r3fresh%2f1");
}

static void test_hides_parameters_of_the_users(void) {
  check_hidden(PARAM);
  check_hidden("p%2Fram%2Bvalue");
}

static void test_hides_the_whole_body(void) {
  char body[2048];
  begin_echo();
  (void)snprintf(body, sizeof body, "cannot parse %s", sent(OK).sent.data);
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
    quote_at(SECRET, offset);
    CHECK(strstr(shown, "s3") == NULL);
  }
  for (size_t offset = 50; offset <= 64; offset++) { /* and the code to 63 */
    char code[128];
    (void)snprintf(code, sizeof code, "%0*d%s", (int)offset, 0, SECRET);
    quote_at(code, 0);
    CHECK(strstr(shown, "s3") == NULL);
  }
}

static void test_hides_secrets_in_a_transports_error(void) {
  tc_error broken = TC_ERROR_NONE;
  (void)tc_error_set(&broken, TC_ERR_NETWORK, "POST %s r3fresh%%2F1 failed", SECRET);
  begin_echo();
  STEP(REQUEST, sent(BROKE(broken))); /* which is sent once more */
  end_echo(BROKE(broken));
  CHECK(strstr(shown, "s3cr3t") == NULL && strstr(shown, "r3fresh") == NULL);
  CHECK(strstr(shown, "POST *") != NULL && strstr(shown, "* failed") != NULL);
}

static void test_shows_what_is_public(void) {
  quote_at("scope a b of the client for https://api", 0);
  CHECK(strstr(shown, "scope a b of the client for https://api") != NULL);
}

static void test_a_secret_that_is_a_word_changes_no_kind(void) {
  tc_client_config config = fixture_config();
  tc_result result;
  tc_token_response answer = fixture_refusal(401, "invalid_client");
  answer.error_description = text_value("unknown client!");
  begin_as(fixture_client(&config), BARE);
  STEP(LOAD, NONE);
  result = ANSWERED(answer);
  result.sent = TC_STR("client_secret=client");
  STEP(REQUEST, result);
  FAILS(TC_ERR_CONFIG);
  CHECK_TEXT(scene.engine.error.code, "invalid_client");
  CHECK_TEXT(scene.engine.error.description, "unknown ******!");
  end();
}

static void test_freeing_erases(void) {
  begin_echo();
  end();
  CHECK(scene.engine.request.body.data == NULL &&
        scene.engine.best.token.refresh_token.data == NULL);
  CHECK(scene.engine.error.message[0] == '\0');
}

int main(void) {
  RUN(test_hides_the_client_secret);
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
