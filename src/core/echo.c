#include "core/echo.h"

#include "core/form.h"
#include "core/redact.h"

static bool is_public_param(tc_str name) {
  static const char *const names[] = {"grant_type",
                                      "scope",
                                      "client_id",
                                      "audience",
                                      "resource",
                                      "redirect_uri",
                                      "response_type",
                                      "code_challenge_method",
                                      "token_type_hint",
                                      "subject_token_type",
                                      "actor_token_type",
                                      "requested_token_type",
                                      "client_assertion_type"};
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

bool tc_echo_hide(char *text, size_t len, tc_str sent) {
  tc_form_pair pair;
  if (len == 0) return true;
  bool done = true;
  while (tc_form_next(&sent, &pair)) {
    if (!is_public_param(pair.name)) done = hide_param(text, len, pair.value) && done;
  }
  return done;
}
