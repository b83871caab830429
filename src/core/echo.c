#include "core/echo.h"

#include "core/form.h"
#include "core/redact.h"

static bool is_public_param(tc_str name) {
  static const char *const names[] = {"grant_type",   "scope",    "client_id",
                                      "redirect_uri", "audience", "resource"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (tc_str_equal(name, tc_str_of(names[i]))) return true;
  }
  return false;
}

static bool hide_param(char *text, size_t len, tc_str encoded) {
  tc_error ignored = TC_ERROR_NONE;
  tc_buf decoded = TC_BUF_EMPTY;
  bool done = tc_form_decode(&decoded, encoded, &ignored) == 0 &&
              tc_redact(text, len, tc_buf_str(&decoded));
  tc_buf_free(&decoded);
  return done;
}

static bool hide_credentials(char *text, size_t len, tc_str authorization) {
  static const size_t scheme = sizeof "Basic " - 1;
  if (authorization.len <= scheme) return true;
  tc_str credentials = {authorization.data + scheme, authorization.len - scheme};
  while (credentials.data[credentials.len - 1] == '=') credentials.len--; /* often left out */
  return tc_redact(text, len, credentials);
}

bool tc_echo_hide(char *text, size_t len, tc_str client_secret, tc_str body, tc_str authorization) {
  tc_form_pair pair;
  if (len == 0) return true;
  bool done = hide_credentials(text, len, authorization);
  done = tc_redact(text, len, client_secret) && done;
  while (tc_form_next(&body, &pair)) {
    if (!is_public_param(pair.name)) done = hide_param(text, len, pair.value) && done;
  }
  return done;
}
