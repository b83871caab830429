#include "core/client.h"

#include <stdlib.h>

#include "core/base64.h"
#include "core/form.h"
#include "core/grant.h"
#include "core/scope.h"
#include "core/secret.h"
#include "core/url.h"

static int copy(char **to, tc_str from, tc_error *err) {
  *to = malloc(from.len + 1);
  if (*to == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (from.len > 0) memcpy(*to, from.data, from.len);
  (*to)[from.len] = '\0';
  return 0;
}

static void erase(char **text) {
  if (*text != NULL) tc_wipe(*text, strlen(*text));
  free(*text);
  *text = NULL;
}

static int set_token_url(tc_client *client, tc_str text, tc_error *err) {
  int rc = tc_url_check_endpoint("token_url", text, client->allow_insecure_http, err);
  if (rc != 0) return rc;
  const char *query = memchr(text.data, '?', text.len);
  size_t shown = query != NULL ? (size_t)(query - text.data) : text.len;
  rc = copy(&client->token_url, text, err);
  return rc != 0 ? rc : copy(&client->endpoint, (tc_str){text.data, shown}, err);
}

static int set_auth_method(tc_client *client, tc_str method, tc_error *err) {
  static const char *const names[] = {
      [TC_AUTH_CLIENT_SECRET_BASIC] = "client_secret_basic",
      [TC_AUTH_CLIENT_SECRET_POST] = "client_secret_post",
      [TC_AUTH_NONE] = "none",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!tc_str_equal(method, tc_str_of(names[i]))) continue;
    client->auth_method = (tc_auth_method)i;
    if (client->auth_method != TC_AUTH_NONE && client->client_secret[0] == '\0') {
      return tc_error_set(err, TC_ERR_INVALID,
                          "client_secret is required by token_endpoint_auth_method %s", names[i]);
    }
    return 0;
  }
  bool is_name = method.len > 0; /* what is none may be anything, also a secret */
  for (size_t i = 0; i < method.len; i++) {
    char c = method.data[i];
    is_name = is_name && (c == '_' || (c >= 'a' && c <= 'z'));
  }
  tc_str shown = is_name ? method : TC_STR("that");
  return tc_error_set(err, TC_ERR_INVALID,
                      "token_endpoint_auth_method: %.*s is not supported; it must be "
                      "client_secret_basic, client_secret_post or none",
                      (int)shown.len, shown.data);
}

static void separate(tc_buf *out, tc_str scopes, tc_str separator) {
  for (size_t i = 0; i < scopes.len; i++) {
    if (scopes.data[i] == ' ' && separator.len > 0) {
      tc_buf_add_str(out, separator);
    } else {
      tc_buf_add_char(out, scopes.data[i]);
    }
  }
}

static int set_scope(tc_client *client, const tc_client_config *config, tc_error *err) {
  tc_buf normalized = TC_BUF_EMPTY, sent = TC_BUF_EMPTY;
  tc_error why = TC_ERROR_NONE;
  int rc = tc_scope_normalize(&normalized, config->scope, &why);
  if (rc != 0) (void)tc_error_set(err, rc, "scope: %s", why.message);
  if (rc == 0) rc = copy(&client->scope, tc_buf_str(&normalized), err);
  separate(&sent, tc_buf_str(&normalized), config->scope_separator);
  if (rc == 0 && sent.failed) rc = tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (rc == 0) rc = copy(&client->sent_scope, tc_buf_str(&sent), err);
  tc_buf_free(&normalized);
  tc_buf_free(&sent);
  return rc;
}

static const char *name_of(unsigned char c) {
  if (c == '\n') return "a line feed";
  if (c == '\r') return "a carriage return";
  if (c == '\t') return "a tab";
  return c > 0x7F ? "a byte that is not ASCII" : "a control character";
}

/* RFC 6749 appendix A. What was read from a file often ends with its line. */
static int check_text(const char *name, tc_str text, tc_error *err) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.data[i];
    if (c >= 0x20 && c < 0x7F) continue;
    return tc_error_set(err, TC_ERR_INVALID,
                        "%s has %s%s (byte %zu of %zu); it may hold printable ASCII only", name,
                        name_of(c), i + 1 == text.len ? " at its end" : "", i + 1, text.len);
  }
  return 0;
}

static int check(const tc_client_config *config, tc_error *err) {
  if (config->client_id.len == 0) {
    return tc_error_set(err, TC_ERR_INVALID, "client_id must not be empty");
  }
  int rc = check_text("client_id", config->client_id, err);
  if (rc == 0) rc = check_text("client_secret", config->client_secret, err);
  return rc != 0 ? rc : check_text("scope", config->scope, err);
}

static void add_to_pair(tc_buf *pair, const tc_client *client, const char *text) {
  if (client->basic_is_raw) {
    tc_buf_add_text(pair, text);
  } else {
    tc_form_encode(pair, tc_str_of(text));
  }
}

/* RFC 6749 §2.3.1: both parts form-encoded before Basic, so that a ':' or '%' in them survives */
static int set_authorization(tc_client *client, tc_error *err) {
  tc_buf pair = TC_BUF_EMPTY, value = TC_BUF_EMPTY;
  if (client->auth_method == TC_AUTH_CLIENT_SECRET_BASIC) {
    if (client->basic_is_raw && strchr(client->client_id, ':') != NULL) {
      return tc_error_set(err, TC_ERR_INVALID,
                          "client_id holds a ':', which cannot be sent with basic_is_raw");
    }
    add_to_pair(&pair, client, client->client_id);
    tc_buf_add_char(&pair, ':');
    add_to_pair(&pair, client, client->client_secret);
    tc_buf_add_text(&value, "Basic ");
    tc_base64_encode(&value, tc_buf_str(&pair));
  }
  int rc = pair.failed || value.failed ? tc_error_set(err, TC_ERR_NOMEM, NULL)
                                       : copy(&client->authorization, tc_buf_str(&value), err);
  tc_buf_free(&pair);
  tc_buf_free(&value);
  return rc;
}

int tc_client_set_endpoint(tc_client *client, tc_str token_url, tc_str auth_method, tc_error *err) {
  tc_client next = *client;
  next.token_url = next.endpoint = next.authorization = NULL;
  int rc = set_auth_method(&next, auth_method, err);
  if (rc == 0) rc = set_token_url(&next, token_url, err);
  if (rc == 0) rc = set_authorization(&next, err);
  tc_client *unused = rc == 0 ? client : &next;
  erase(&unused->token_url);
  erase(&unused->endpoint);
  erase(&unused->authorization);
  if (rc == 0) *client = next;
  return rc;
}

static int set_type(char **type, const tc_grant *grant, tc_str given, tc_error *err) {
  if (grant == NULL) return copy(type, TC_STR(""), err);
  return copy(type, given.data != NULL ? given : tc_str_of(grant->name), err);
}

static int fill(tc_client *client, const tc_client_config *config, tc_error *err) {
  const tc_flow *flow = tc_flow_find(config->flow);
  if (flow == NULL) return tc_error_set(err, TC_ERR_INVALID, "unknown flow");
  int rc = check(config, err);
  if (rc != 0) return rc;
  client->acquire = flow->acquire;
  client->renew = flow->renew;
  client->has_user = flow->has_user;
  client->leeway = config->leeway;
  client->default_expires_in = config->default_expires_in;
  client->keeps_dead = config->keeps_dead;
  client->reuses = config->reuses;
  client->discovers = config->issuer.len > 0;
  client->allow_insecure_http = config->allow_insecure_http;
  client->basic_is_raw = config->basic_is_raw;
  client->scope_on_refresh = config->scope_on_refresh;
  if ((rc = set_scope(client, config, err)) != 0) return rc;
  if ((rc = set_type(&client->acquire_type, client->acquire, config->acquire_type, err)) != 0 ||
      (rc = set_type(&client->renew_type, client->renew, config->renew_type, err)) != 0) {
    return rc;
  }
  if ((rc = copy(&client->client_id, config->client_id, err)) != 0) return rc;
  if ((rc = copy(&client->client_secret, config->client_secret, err)) != 0) return rc;
  if ((rc = copy(&client->params, config->params, err)) != 0) return rc;
  if (client->discovers && config->auth_method.len > 0) {
    if ((rc = set_auth_method(client, config->auth_method, err)) != 0) return rc;
  }
  if (client->discovers) return copy(&client->endpoint, config->issuer, err);
  return tc_client_set_endpoint(client, config->token_url, config->auth_method, err);
}

int tc_client_init(tc_client *client, const tc_client_config *config, tc_error *err) {
  *client = (tc_client){0};
  int rc = fill(client, config, err);
  if (rc != 0) tc_client_free(client);
  return rc;
}

void tc_client_free(tc_client *client) {
  erase(&client->token_url);
  erase(&client->endpoint);
  erase(&client->client_id);
  erase(&client->client_secret);
  erase(&client->scope);
  erase(&client->sent_scope);
  erase(&client->acquire_type);
  erase(&client->renew_type);
  erase(&client->params);
  erase(&client->authorization);
  *client = (tc_client){0};
}

bool tc_client_shuns(const tc_client *client, const tc_token *token) {
  return !client->has_user && token->refresh_token.len > 0;
}

bool tc_client_owns(const tc_client *client, const tc_token *token) {
  if (token->client_id.len > 0 && !tc_str_equal(token->client_id, tc_str_of(client->client_id))) {
    return false;
  }
  tc_str wanted = tc_str_of(client->scope);
  return tc_scope_is_subset(wanted, token->scope) ||
         tc_scope_is_subset(wanted, token->requested_scope);
}

tc_fitness tc_client_judge(const tc_client *client, const tc_token *token, double now) {
  if (!tc_client_owns(client, token)) return TC_UNFIT;
  if (tc_window_holds(tc_token_window(token, client->leeway), now)) return TC_FIT;
  return tc_window_holds(tc_token_window(token, TC_LAST_SECONDS), now) ? TC_EXPIRING : TC_EXPIRED;
}
