#include "core/client.h"

#include <stdlib.h>

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

int tc_client_check_text(const char *name, tc_str text, tc_error *err) {
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
  int rc = tc_client_check_text("client_id", config->client_id, err);
  return rc != 0 ? rc : tc_client_check_text("scope", config->scope, err);
}

int tc_client_set_endpoint(tc_client *client, tc_str token_url, tc_error *err) {
  tc_client next = *client;
  next.token_url = next.endpoint = NULL;
  int rc = set_token_url(&next, token_url, err);
  tc_client *unused = rc == 0 ? client : &next;
  erase(&unused->token_url);
  erase(&unused->endpoint);
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
  client->dpop = config->dpop;
  client->keeps_dead = config->keeps_dead;
  client->reuses = config->reuses;
  client->discovers = config->issuer.len > 0;
  client->allow_insecure_http = config->allow_insecure_http;
  client->scope_on_refresh = config->scope_on_refresh;
  if ((rc = set_scope(client, config, err)) != 0) return rc;
  if ((rc = set_type(&client->acquire_type, client->acquire, config->acquire_type, err)) != 0 ||
      (rc = set_type(&client->renew_type, client->renew, config->renew_type, err)) != 0) {
    return rc;
  }
  if ((rc = copy(&client->client_id, config->client_id, err)) != 0) return rc;
  if ((rc = copy(&client->grant_digest, config->grant_digest, err)) != 0) return rc;
  if ((rc = copy(&client->params, config->params, err)) != 0) return rc;
  if ((rc = copy(&client->remedy, config->remedy, err)) != 0) return rc;
  if (client->discovers) return copy(&client->endpoint, config->issuer, err);
  return tc_client_set_endpoint(client, config->token_url, err);
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
  erase(&client->grant_digest);
  erase(&client->scope);
  erase(&client->sent_scope);
  erase(&client->acquire_type);
  erase(&client->renew_type);
  erase(&client->params);
  erase(&client->remedy);
  *client = (tc_client){0};
}

bool tc_client_shuns(const tc_client *client, const tc_token *token) {
  return !client->has_user && token->refresh_token.len > 0;
}

bool tc_client_owns(const tc_client *client, const tc_token *token) {
  if (token->client_id.len > 0 && !tc_str_equal(token->client_id, tc_str_of(client->client_id))) {
    return false;
  }
  if (!tc_str_equal(token->grant_digest, tc_str_of(client->grant_digest))) return false;
  tc_str wanted = tc_str_of(client->scope);
  return tc_scope_is_subset(wanted, token->scope) ||
         tc_scope_is_subset(wanted, token->requested_scope);
}

tc_fitness tc_client_judge(const tc_client *client, const tc_token *token, double now) {
  if (!tc_client_owns(client, token)) return TC_UNFIT;
  if (tc_window_holds(tc_token_window(token, client->leeway), now)) return TC_FIT;
  return tc_window_holds(tc_token_window(token, TC_LAST_SECONDS), now) ? TC_EXPIRING : TC_EXPIRED;
}
