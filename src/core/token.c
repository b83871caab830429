#include "core/token.h"

#include <math.h>
#include <stdlib.h>

#include "core/secret.h"

/* Tokens may live shorter than the leeway. It takes half of a token's life at most, or each call
   would ask for another one; but no less than the last seconds, however short that life is. */
static double shortened(double leeway, double lifetime) {
  double most = lifetime / 2 > TC_LAST_SECONDS ? lifetime / 2 : TC_LAST_SECONDS;
  return leeway < most ? leeway : most;
}

tc_window tc_token_window(const tc_token *token, double leeway) {
  tc_window window = {-INFINITY, INFINITY};
  double end = (double)token->expires_at;
  if (token->expires_at == TC_TIME_UNKNOWN) {
    if (token->expires_in != TC_TIME_UNKNOWN) window.until = -INFINITY;
    return window;
  }
  if (token->expires_in != TC_TIME_UNKNOWN) {
    window.from = end - (double)token->expires_in - TC_CLOCK_TOLERANCE;
    leeway = shortened(leeway, (double)token->expires_in);
  }
  window.until = end - leeway;
  return window;
}

bool tc_token_has_control(tc_str text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.data[i];
    if (c < 0x20 || c == 0x7F) return true;
  }
  return false;
}

static bool copy(tc_str *to, tc_str from) {
  *to = TC_STR_NONE;
  if (from.data == NULL) return true;
  char *data = malloc(from.len + 1);
  if (data == NULL) return false;
  if (from.len > 0) memcpy(data, from.data, from.len);
  data[from.len] = '\0';
  *to = (tc_str){data, from.len};
  return true;
}

static void erase(tc_str *text) {
  char *data = (char *)(uintptr_t)text->data; /* ours: made by copy() */
  tc_wipe(data, text->len);
  free(data);
  *text = TC_STR_NONE;
}

int tc_token_assign(tc_token *to, const tc_token *from, tc_error *err) {
  tc_token made = *from;
  made.access_token = made.token_type = made.refresh_token = made.scope = made.requested_scope =
      made.client_id = made.grant_digest = TC_STR_NONE;
  if (!copy(&made.access_token, from->access_token) || !copy(&made.token_type, from->token_type) ||
      !copy(&made.refresh_token, from->refresh_token) || !copy(&made.scope, from->scope) ||
      !copy(&made.requested_scope, from->requested_scope) ||
      !copy(&made.client_id, from->client_id) || !copy(&made.grant_digest, from->grant_digest)) {
    tc_token_clear(&made);
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  tc_token_clear(to);
  *to = made;
  return 0;
}

void tc_token_clear(tc_token *token) {
  erase(&token->access_token);
  erase(&token->token_type);
  erase(&token->refresh_token);
  erase(&token->scope);
  erase(&token->requested_scope);
  erase(&token->client_id);
  erase(&token->grant_digest);
  *token = TC_TOKEN_NONE;
}
