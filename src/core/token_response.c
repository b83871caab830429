#include "core/token_response.h"

#include <math.h>
#include <strings.h>

/* A hundred years: longer lifetimes are cut, so that sums of seconds stay exact. */
#define LONGEST_LIFETIME 3155760000.0

/* RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, RFC 9449 §5 and §8, OpenID Connect Core §3.1.2.6 */
typedef struct oauth_error {
  const char *code;
  int number;
  const char *remedy;
} oauth_error;

static const oauth_error oauth_errors[] = {
    {"invalid_client", TC_ERR_CONFIG, NULL}, /* the client's own */
    {"invalid_grant", TC_ERR_REAUTHORIZE, "the user must log in again"},
    {"invalid_request", TC_ERR_CONFIG,
     "check token_url, token_params and what the provider's documentation asks for"},
    {"invalid_scope", TC_ERR_CONFIG, "check scope"},
    {"invalid_dpop_proof", TC_ERR_CONFIG, "check the clock, and that the provider takes ES256"},
    {"use_dpop_nonce", TC_ERR_CONFIG, "the provider wants a nonce and has sent none that is new"},
    {"invalid_target", TC_ERR_CONFIG, "check the resource or audience in token_params"},
    {"unauthorized_client", TC_ERR_CONFIG, "allow this grant in the client's registration"},
    {"unsupported_grant_type", TC_ERR_CONFIG, "use a flow that the provider supports"},
    {"interaction_required", TC_ERR_REAUTHORIZE, "the user must log in again"},
    {"login_required", TC_ERR_REAUTHORIZE, "the user must log in again"},
    {"account_selection_required", TC_ERR_REAUTHORIZE, "the user must log in again"},
    {"consent_required", TC_ERR_REAUTHORIZE, "the user must log in again"},
    {"access_denied", TC_ERR_DENIED, "the user refused, or the provider does not allow it"},
    {"expired_token", TC_ERR_TIMEOUT,
     "the user took too long; start the login again"}, /* RFC 8628 */
    {"server_error", TC_ERR_UNAVAILABLE, "try again later"},
    {"temporarily_unavailable", TC_ERR_UNAVAILABLE, "try again later"},
};

static bool is_text(const tc_value *value) {
  return value->type == TC_VALUE_STRING && value->string.len > 0;
}

static const oauth_error *find_error(tc_str code) {
  for (size_t i = 0; i < sizeof oauth_errors / sizeof *oauth_errors; i++) {
    if (tc_str_equal(code, tc_str_of(oauth_errors[i].code))) return &oauth_errors[i];
  }
  return NULL;
}

bool tc_token_response_knows(tc_str code) {
  return find_error(code) != NULL;
}

static int read_error(const tc_token_response *response, const tc_client *client, tc_error *err) {
  const oauth_error *known =
      find_error(response->is_dead ? TC_STR("invalid_grant") : response->error.string);
  bool later = !response->is_dead && (response->status == 429 || response->status >= 500);
  int number = TC_ERR_DENIED;
  const char *remedy = "the provider's documentation says what it means";
  if (known != NULL) {
    number = known->number;
    remedy = known->remedy != NULL ? known->remedy : client->remedy;
  }
  if (is_text(&response->error)) {
    tc_error_copy_foreign(err->code, sizeof err->code, response->error.string);
  }
  if (is_text(&response->error_description)) {
    tc_error_copy_foreign(err->description, sizeof err->description,
                          response->error_description.string);
  }
  if (number == TC_ERR_REAUTHORIZE && !client->has_user) {
    number = TC_ERR_CONFIG;
    remedy =
        "check what it is asked with (of an assertion the key, iss, sub, aud and exp), and that "
        "the provider allows this grant to the client";
  }
  if (later) { /* what a server in trouble says of a login must not cost the user that login */
    number = TC_ERR_UNAVAILABLE;
    remedy = "try again later";
  }
  if (err->code[0] == '\0') {
    return tc_error_set(err, number, "%s answered with status %d; %s", client->endpoint,
                        response->status, remedy);
  }
  return tc_error_set(err, number, "%s answered %s%s%s; %s", client->endpoint, err->code,
                      err->description[0] != '\0' ? " - " : "", err->description, remedy);
}

static int status_error(const tc_token_response *response, const tc_client *client, tc_error *err) {
  int status = response->status;
  if (status == 429 || status >= 500) {
    return tc_error_set(err, TC_ERR_UNAVAILABLE, "%s answered with status %d; try again later",
                        client->endpoint, status);
  }
  if (status >= 300 && status < 400) {
    return tc_error_set(err, TC_ERR_PROTOCOL,
                        "%s answered with a redirect (status %d), which is not followed; "
                        "give its target as token_url",
                        client->endpoint, status);
  }
  if (status == 401) {
    return tc_error_set(err, TC_ERR_CONFIG, "%s answered with status 401; %s", client->endpoint,
                        client->remedy);
  }
  if (status == 404 || status == 405) {
    return tc_error_set(err, TC_ERR_CONFIG, "%s answered with status %d; check token_url",
                        client->endpoint, status);
  }
  if (status == 403)
    return tc_error_set(err, TC_ERR_DENIED,
                        "%s answered with status 403; check what the provider allows this client",
                        client->endpoint);
  return tc_error_set(err, TC_ERR_PROTOCOL,
                      "%s answered with status %d and no OAuth error; check token_url",
                      client->endpoint, status);
}

/* Digits with an optional sign and fraction; not strtod, which obeys the program's locale. */
static bool parse_decimal(tc_str text, double *number) {
  double sum = 0, place = 1;
  bool fraction = false;
  size_t digits = 0;
  bool negative = text.len > 0 && text.data[0] == '-';
  for (size_t i = negative ? 1 : 0; i < text.len; i++) {
    char c = text.data[i];
    if (c == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (c < '0' || c > '9') return false;
    if (fraction) place /= 10;
    sum = fraction ? sum + place * (c - '0') : sum * 10 + (c - '0');
    digits++;
  }
  *number = negative ? -sum : sum;
  return digits > 0;
}

static bool read_seconds(const tc_value *value, double *seconds) {
  if (value->type == TC_VALUE_STRING) return parse_decimal(value->string, seconds);
  *seconds = value->number;
  return value->type == TC_VALUE_NUMBER && !isnan(*seconds);
}

/* Seconds for which the token serves; negative: nobody has said. What cannot be read, or is below
   zero, means that the token ends, and nobody knows when: it counts as over, and is renewed at the
   next call. A token that has come must not be lost over that. */
static double lifetime_of(const tc_token_response *response, const tc_client *client,
                          int64_t received) {
  double seconds = 0;
  if (read_seconds(&response->expires_in, &seconds) && seconds >= 0) return seconds;
  if (response->ends_at > 0) {
    seconds = response->ends_at - (double)received;
    return seconds > 0 ? seconds : 0;
  }
  if (client->default_expires_in > 0) return client->default_expires_in;
  return response->expires_in.type == TC_VALUE_ABSENT ? -1 : 0;
}

static void read_lifetime(const tc_token_response *response, const tc_client *client, double now,
                          tc_token *token) {
  int64_t received = tc_time_of(now);
  double seconds = lifetime_of(response, client, received);
  if (seconds < 0) return;
  if (seconds > LONGEST_LIFETIME) seconds = LONGEST_LIFETIME;
  token->expires_in = (int64_t)seconds;
  if (received != TC_TIME_UNKNOWN) token->expires_at = received + token->expires_in;
}

/* U+FFFD stands for what the reader of the answer could not read. */
static bool is_damaged(tc_str text) {
  for (size_t i = 0; i + 3 <= text.len; i++) {
    if (memcmp(text.data + i, "\xEF\xBF\xBD", 3) == 0) return true;
  }
  return false;
}

/* Takes the refresh token only if it can be used: else the one at hand may still be good. */
static tc_str refresh_token_of(const tc_token_response *response) {
  const tc_value *value = &response->refresh_token;
  return is_text(value) && !is_damaged(value->string) ? value->string : TC_STR_NONE;
}

static bool is_named(tc_str type, const char *name) {
  return type.len == strlen(name) && strncasecmp(type.data, name, type.len) == 0;
}

static int read_token(const tc_token_response *response, const tc_client *client, double now,
                      tc_token *token, tc_error *err) {
  token->refresh_token = refresh_token_of(response);
  if (!is_text(&response->access_token)) {
    return tc_error_set(err, TC_ERR_PROTOCOL,
                        "%s answered without an access_token; check token_url", client->endpoint);
  }
  if (tc_token_has_control(response->access_token.string)) {
    return tc_error_set(err, TC_ERR_PROTOCOL,
                        "%s answered with a control character in the access_token",
                        client->endpoint);
  }
  if (is_damaged(response->access_token.string)) {
    return tc_error_set(err, TC_ERR_PROTOCOL, "%s answered with an unreadable access_token",
                        client->endpoint);
  }
  token->access_token = response->access_token.string;
  /* a client must not use a token whose type it does not understand (§7.1); an absent or
     empty type is let through, as every peer does */
  tc_str type = tc_str_trim(response->token_type.string, TC_STR(" \t\r\n"));
  bool is_text = response->token_type.type == TC_VALUE_STRING;
  if (response->token_type.type != TC_VALUE_ABSENT && !(is_text && type.len == 0)) {
    if (!is_text || !(is_named(type, "Bearer") || (client->dpop && is_named(type, "DPoP")))) {
      return tc_error_set(err, TC_ERR_PROTOCOL, "%s answered with a token_type other than Bearer",
                          client->endpoint);
    }
    token->token_type = type;
  }
  if (response->scope.type == TC_VALUE_STRING) token->scope = response->scope.string;
  read_lifetime(response, client, now, token);
  return 0;
}

int tc_token_response_read(const tc_token_response *response, const tc_client *client, double now,
                           tc_token *token, tc_error *err) {
  *token = TC_TOKEN_NONE;
  tc_error_clear(err);
  err->status = response->status;
  err->retry_after = response->retry_after;
  bool is_success = response->status >= 200 && response->status <= 299;
  if (response->problem.len > 0) {
    if (is_success) token->refresh_token = refresh_token_of(response);
    return tc_error_set(err, TC_ERR_CONFIG, "%.*s", (int)response->problem.len,
                        response->problem.data);
  }
  if (response->is_dead || (response->is_object && is_text(&response->error))) {
    return read_error(response, client, err);
  }
  if (!is_success) return status_error(response, client, err);
  if (!response->is_object) {
    return tc_error_set(err, TC_ERR_PROTOCOL,
                        "%s answered with something other than a JSON object; check token_url",
                        client->endpoint);
  }
  return read_token(response, client, now, token, err);
}
