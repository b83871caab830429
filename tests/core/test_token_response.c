#include "core/token_response.h"

#include <math.h>

#include "core/utf8.h"
#include "fixture.h"

/* Reads the answer as a flow without users would, or one with them. */
static int read_as(bool has_user, const tc_token_response *response, tc_token *token,
                   tc_error *err) {
  tc_client_config config = fixture_config();
  tc_client client = has_user ? fixture_user_client(&config) : fixture_client(&config);
  int rc = tc_token_response_read(response, &client, NOW + 0.75, token, err);
  tc_client_free(&client);
  return rc;
}

static void check_error(tc_token_response response, int number, const char *message) {
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(read_as(false, &response, &token, &err), number);
  CHECK_NUM(err.number, number);
  CHECK_NUM(err.status, response.status);
  if (!CHECK(strstr(err.message, message) != NULL)) printf("#   %s\n", err.message);
  CHECK(strstr(err.message, ENDPOINT " ") != NULL && strstr(err.message, "t3nant") == NULL);
}

static tc_token check_token(tc_token_response response) {
  tc_token token = TC_TOKEN_NONE;
  tc_error err = TC_ERROR_NONE;
  if (!CHECK_NUM(read_as(true, &response, &token, &err), 0)) printf("#   %s\n", err.message);
  return token;
}

static void test_reads_a_whole_answer(void) {
  tc_token_response response = fixture_answer("t0ken");
  response.refresh_token = text_value("r3fresh");
  response.scope = text_value("a b");
  tc_token token = check_token(response);
  CHECK_STR(token.access_token, TC_STR("t0ken"));
  CHECK_STR(token.token_type, TC_STR("Bearer"));
  CHECK_STR(token.refresh_token, TC_STR("r3fresh"));
  CHECK_STR(token.scope, TC_STR("a b"));
  CHECK_NUM(token.expires_in, 3600);
  CHECK_NUM(token.expires_at, NOW + 3600);
  CHECK(token.authorized_at == TC_TIME_UNKNOWN);
}

static void test_absent_members_stay_absent(void) {
  tc_token_response response = {.status = 200, .is_object = true, .retry_after = -1};
  response.access_token = text_value("t0ken");
  tc_token token = check_token(response);
  CHECK(token.scope.data == NULL && token.refresh_token.data == NULL);
  CHECK(token.expires_in == TC_TIME_UNKNOWN && token.expires_at == TC_TIME_UNKNOWN);
}

static void test_an_empty_refresh_token_is_none(void) {
  tc_token_response response = fixture_answer("t");
  response.refresh_token = text_value("");
  CHECK(check_token(response).refresh_token.data == NULL);
  response.refresh_token = number_value(7);
  CHECK(check_token(response).refresh_token.data == NULL);
}

static void test_a_scope_that_is_no_text_is_none(void) {
  tc_token_response response = fixture_answer("t");
  response.scope.type = TC_VALUE_OTHER;
  CHECK(check_token(response).scope.data == NULL);
  response.scope = text_value("");
  CHECK(check_token(response).scope.data != NULL);
}

static void check_lifetime(tc_value expires_in, double want) {
  tc_token_response response = fixture_answer("t");
  response.expires_in = expires_in;
  tc_token token = check_token(response);
  CHECK_NUM(token.expires_in, want);
  CHECK_NUM(token.expires_at, NOW + want);
}

static void test_expires_in_is_a_number_in_any_dress(void) {
  check_lifetime(number_value(3600), 3600);
  check_lifetime(number_value(3600.9), 3600);
  check_lifetime(number_value(0), 0);
  check_lifetime(number_value(-0.0), 0);
  check_lifetime(text_value("3600"), 3600);
  check_lifetime(text_value("3600.0"), 3600);
  check_lifetime(text_value("00"), 0);
  check_lifetime(text_value("-0"), 0);
}

static void test_long_lifetimes_are_cut_to_a_century(void) {
  static const double century = 3155760000;
  check_lifetime(number_value(century + 1), century);
  check_lifetime(number_value(9e18), century);
  check_lifetime(number_value(1e300), century);
  check_lifetime(number_value(INFINITY), century);
  check_lifetime(text_value("99999999999999999999999999"), century);
}

static void test_a_clock_out_of_all_bounds_tells_no_end(void) {
  double clocks[] = {1e300, -1e300, INFINITY, NAN};
  tc_client_config config = fixture_config();
  tc_client client = fixture_client(&config);
  tc_token_response response = fixture_answer("t0ken");
  response.expires_in = number_value(3600);
  for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    tc_token token;
    tc_error err = TC_ERROR_NONE;
    CHECK_NUM(tc_token_response_read(&response, &client, clocks[i], &token, &err), 0);
    CHECK(token.expires_at == TC_TIME_UNKNOWN);
  }
  tc_client_free(&client);
}

static void test_a_lifetime_that_makes_no_sense_is_over(void) {
  check_lifetime(number_value(-1), 0);
  check_lifetime(number_value(-INFINITY), 0);
  check_lifetime(text_value("-3600"), 0);
  check_lifetime(number_value(NAN), 0);
  check_lifetime((tc_value){.type = TC_VALUE_OTHER}, 0);
  check_lifetime(text_value(""), 0);
  check_lifetime(text_value("-"), 0);
  check_lifetime(text_value("."), 0);
  check_lifetime(text_value("1.2.3"), 0);
  check_lifetime(text_value("one hour"), 0);
  check_lifetime(text_value("3600s"), 0);
  check_lifetime(text_value("nan"), 0);
}

static void check_end(tc_value expires_in, double ends_at, double want) {
  tc_token_response response = fixture_answer("t");
  response.expires_in = expires_in;
  response.ends_at = ends_at;
  tc_token token = check_token(response);
  CHECK_NUM(token.expires_in, want);
  CHECK_NUM(token.expires_at, NOW + want);
}

static void test_an_end_counts_where_no_lifetime_can_be_read(void) {
  tc_value absent = {.type = TC_VALUE_ABSENT};
  check_end(absent, NOW + 7200, 7200);
  check_end(absent, NOW + 7200.9, 7200);
  check_end(absent, NOW, 0);
  check_end(absent, 5, 0);
  check_end(absent, 1e300, 3155760000);
  check_end(text_value("1h"), NOW + 7200, 7200);
  check_end(number_value(-1), NOW + 7200, 7200);
  check_end(number_value(60), NOW + 7200, 60);
}

static void check_default(tc_value expires_in, double ends_at, double want) {
  tc_client_config config = fixture_config();
  config.default_expires_in = 900;
  tc_client client = fixture_client(&config);
  tc_token_response response = fixture_answer("t");
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  response.expires_in = expires_in;
  response.ends_at = ends_at;
  CHECK_NUM(tc_token_response_read(&response, &client, NOW, &token, &err), 0);
  CHECK_NUM(token.expires_in, want);
  CHECK_NUM(token.expires_at, NOW + want);
  tc_client_free(&client);
}

static void test_a_default_counts_where_nothing_is_said(void) {
  check_default((tc_value){.type = TC_VALUE_ABSENT}, 0, 900);
  check_default(text_value("3600s"), 0, 900);
  check_default(number_value(-1), 0, 900);
  check_default(number_value(60), 0, 60);
  check_default((tc_value){.type = TC_VALUE_ABSENT}, NOW + 60, 60);
}

static void test_what_is_no_token_makes_no_sense(void) {
  tc_token_response response = fixture_answer("t");
  response.is_object = false; /* HTML, or a JSON array */
  check_error(response, TC_ERR_PROTOCOL, "other than a JSON object");
  response = fixture_answer("");
  check_error(response, TC_ERR_PROTOCOL, "without an access_token");
  response.access_token = number_value(5);
  check_error(response, TC_ERR_PROTOCOL, "without an access_token");
  response.access_token.type = TC_VALUE_ABSENT;
  check_error(response, TC_ERR_PROTOCOL, "without an access_token");
  response.access_token = text_value("t\r\nX-Admin: 1");
  check_error(response, TC_ERR_PROTOCOL, "with a control character in the access_token");
  response.access_token = text_value("t\357\277\275k");
  check_error(response, TC_ERR_PROTOCOL, "an unreadable access_token");
}

static void test_a_damaged_refresh_token_is_none(void) {
  tc_token_response response = fixture_answer("t\357\277");
  response.refresh_token = text_value("r\357\277\275");
  CHECK(check_token(response).refresh_token.data == NULL);
}

static void check_survivor(tc_token_response response, tc_str want) {
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  CHECK(read_as(true, &response, &token, &err) != 0);
  CHECK_STR(token.refresh_token, want);
}

static void test_a_refresh_token_outlives_what_came_with_it(void) {
  tc_token_response response = fixture_answer("t");
  response.refresh_token = text_value("rotated");
  response.token_type = text_value("mac");
  check_survivor(response, TC_STR("rotated"));
  response.access_token.type = TC_VALUE_ABSENT;
  check_survivor(response, TC_STR("rotated"));
  response.status = 500;
  check_survivor(response, TC_STR_NONE);
  response.status = 200;
  response.error = text_value("invalid_grant");
  check_survivor(response, TC_STR_NONE);
}

static void test_only_bearer_tokens_are_understood(void) {
  tc_token_response response = fixture_answer("t");
  response.token_type = text_value("bearer");
  CHECK_STR(check_token(response).token_type, TC_STR("bearer"));
  response.token_type = text_value("\tBearer \r\n");
  CHECK_STR(check_token(response).token_type, TC_STR("Bearer"));
  response.token_type = text_value("");
  CHECK(check_token(response).token_type.data == NULL);
  response.token_type = text_value(" ");
  CHECK(check_token(response).token_type.data == NULL);
  response.token_type = text_value("mac");
  check_error(response, TC_ERR_PROTOCOL, "token_type other than Bearer");
  response.token_type = text_value("BearerX");
  check_error(response, TC_ERR_PROTOCOL, "token_type other than Bearer");
  response.token_type.type = TC_VALUE_OTHER;
  check_error(response, TC_ERR_PROTOCOL, "token_type other than Bearer");
}

static void test_a_status_without_an_oauth_error(void) {
  check_error(fixture_status(500), TC_ERR_UNAVAILABLE, "status 500; try again later");
  check_error(fixture_status(503), TC_ERR_UNAVAILABLE, "status 503");
  check_error(fixture_status(429), TC_ERR_UNAVAILABLE, "status 429");
  check_error(fixture_status(302), TC_ERR_PROTOCOL, "not followed");
  check_error(fixture_status(401), TC_ERR_CONFIG, "check client_id");
  check_error(fixture_status(403), TC_ERR_DENIED, "status 403");
  check_error(fixture_status(404), TC_ERR_CONFIG, "check token_url");
  check_error(fixture_status(400), TC_ERR_PROTOCOL, "no OAuth error");
  check_error(fixture_status(199), TC_ERR_PROTOCOL, "status 199");
}

static void test_a_token_counts_only_with_success(void) {
  tc_token_response response = fixture_answer("t");
  response.status = 500;
  check_error(response, TC_ERR_UNAVAILABLE, "status 500");
  response.status = 201;
  (void)check_token(response);
}

static void test_each_oauth_error(void) {
  static const struct {
    const char *code;
    int number;
  } errors[] = {
      {"invalid_client", TC_ERR_CONFIG},
      {"invalid_grant", TC_ERR_CONFIG},
      {"invalid_request", TC_ERR_CONFIG},
      {"invalid_scope", TC_ERR_CONFIG},
      {"invalid_target", TC_ERR_CONFIG},
      {"interaction_required", TC_ERR_CONFIG},
      {"unauthorized_client", TC_ERR_CONFIG},
      {"unsupported_grant_type", TC_ERR_CONFIG},
      {"access_denied", TC_ERR_DENIED},
      {"server_error", TC_ERR_UNAVAILABLE},
      {"temporarily_unavailable", TC_ERR_UNAVAILABLE},
      {"its own", TC_ERR_DENIED},
      {"invalid_clien", TC_ERR_DENIED},
  };
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    check_error(fixture_refusal(400, errors[i].code), errors[i].number, errors[i].code);
    check_error(fixture_refusal(200, errors[i].code), errors[i].number, errors[i].code);
  }
}

static void test_an_unknown_error_of_a_server_in_trouble_passes(void) {
  check_error(fixture_refusal(500, "oops"), TC_ERR_UNAVAILABLE, "oops");
  check_error(fixture_refusal(429, "slow_down"), TC_ERR_UNAVAILABLE, "slow_down");
}

static void check_dead(int status, const char *code, int number) {
  tc_token_response response = fixture_refusal(status, code);
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(read_as(true, &response, &token, &err), number);
  CHECK_TEXT(err.code, code);
}

static void test_a_login_is_dead_only_on_a_working_servers_word(void) {
  static const char *const codes[] = {"invalid_grant", "interaction_required", "login_required",
                                      "account_selection_required", "consent_required"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    check_dead(400, codes[i], TC_ERR_REAUTHORIZE);
    check_dead(200, codes[i], TC_ERR_REAUTHORIZE);
    check_dead(500, codes[i], TC_ERR_UNAVAILABLE);
    check_dead(503, codes[i], TC_ERR_UNAVAILABLE);
    check_dead(429, codes[i], TC_ERR_UNAVAILABLE);
  }
}

static void check_called_dead(tc_token_response response, const char *message) {
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  response.is_dead = true;
  CHECK_NUM(read_as(true, &response, &token, &err), TC_ERR_REAUTHORIZE);
  CHECK_TEXT(err.message, message);
  CHECK_NUM(err.status, response.status);
}

static void test_a_login_is_dead_where_the_provider_calls_it_so(void) {
  check_called_dead(fixture_refusal(403, "unauthorized_client"),
                    ENDPOINT " answered unauthorized_client; the user must log in again");
  check_called_dead(fixture_status(500),
                    ENDPOINT " answered with status 500; the user must log in again");
}

static void test_a_refresh_token_outlives_a_failing_reader(void) {
  tc_token_response response = fixture_answer("t");
  response.refresh_token = text_value("rotated");
  response.problem = TC_STR("it raised");
  check_survivor(response, TC_STR("rotated"));
  response.status = 400;
  check_survivor(response, TC_STR_NONE);
}

static void test_errors_that_are_no_text(void) {
  tc_token_response response = fixture_answer("t");
  response.error = text_value("");
  (void)check_token(response);
  response = fixture_status(429); /* Spotify's {"error": {"status": 429, ...}} */
  response.is_object = true;
  response.error.type = TC_VALUE_OTHER;
  check_error(response, TC_ERR_UNAVAILABLE, "status 429");
}

static void test_retry_after_is_passed_on(void) {
  tc_token_response response = fixture_status(503);
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  response.retry_after = 17;
  (void)read_as(false, &response, &token, &err);
  CHECK_NUM(err.retry_after, 17);
}

static void test_an_old_error_leaves_no_trace(void) {
  tc_token_response response = fixture_status(503);
  tc_token token;
  tc_error err = {.retry_after = 9, .code = "old", .description = "old"};
  (void)read_as(false, &response, &token, &err);
  CHECK(err.code[0] == '\0' && err.description[0] == '\0' && err.retry_after < 0);
}

static bool is_printable(const char *text) {
  for (size_t i = 0, left = strlen(text); left > 0;) {
    size_t len = tc_utf8_length((const unsigned char *)text + i, left);
    if (len == 0 || (unsigned char)text[i] < 0x20) return false;
    i += len;
    left -= len;
  }
  return true;
}

static void test_descriptions_are_made_printable(void) {
  tc_token_response response = fixture_refusal(400, "bad\n\033[2J\377code");
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  response.error_description.type = TC_VALUE_STRING;
  response.error_description.string =
      TC_STR("line\r\nnext\0nul \033[31m \300\200 \302\233 caf\303\251");
  CHECK_NUM(read_as(false, &response, &token, &err), TC_ERR_DENIED);
  CHECK_TEXT(err.code, "bad??[2J?code");
  CHECK_TEXT(err.description, "line??next?nul ?[31m ?? ? caf\303\251");
  CHECK(is_printable(err.message));
}

static void test_long_descriptions_are_cut(void) {
  char text[2000];
  tc_token_response response = fixture_refusal(400, "c");
  tc_token token;
  tc_error err = TC_ERROR_NONE;
  for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "\303\251", 2);
  response.error.string = response.error_description.string = (tc_str){text, sizeof text};
  response.error_description.type = TC_VALUE_STRING;
  (void)read_as(false, &response, &token, &err);
  CHECK_NUM(strlen(err.code), 62);
  CHECK_NUM(strlen(err.description), 254);
  CHECK(is_printable(err.code) && is_printable(err.description) && is_printable(err.message));
}

int main(void) {
  RUN(test_reads_a_whole_answer);
  RUN(test_absent_members_stay_absent);
  RUN(test_an_empty_refresh_token_is_none);
  RUN(test_a_scope_that_is_no_text_is_none);
  RUN(test_expires_in_is_a_number_in_any_dress);
  RUN(test_long_lifetimes_are_cut_to_a_century);
  RUN(test_a_clock_out_of_all_bounds_tells_no_end);
  RUN(test_a_lifetime_that_makes_no_sense_is_over);
  RUN(test_an_end_counts_where_no_lifetime_can_be_read);
  RUN(test_a_default_counts_where_nothing_is_said);
  RUN(test_what_is_no_token_makes_no_sense);
  RUN(test_a_damaged_refresh_token_is_none);
  RUN(test_a_refresh_token_outlives_what_came_with_it);
  RUN(test_only_bearer_tokens_are_understood);
  RUN(test_a_status_without_an_oauth_error);
  RUN(test_a_token_counts_only_with_success);
  RUN(test_each_oauth_error);
  RUN(test_an_unknown_error_of_a_server_in_trouble_passes);
  RUN(test_a_login_is_dead_only_on_a_working_servers_word);
  RUN(test_a_login_is_dead_where_the_provider_calls_it_so);
  RUN(test_a_refresh_token_outlives_a_failing_reader);
  RUN(test_errors_that_are_no_text);
  RUN(test_retry_after_is_passed_on);
  RUN(test_an_old_error_leaves_no_trace);
  RUN(test_descriptions_are_made_printable);
  RUN(test_long_descriptions_are_cut);
  return done();
}
