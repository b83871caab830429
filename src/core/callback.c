#include "core/callback.h"

#include "core/form.h"
#include "core/secret.h"

static tc_buf *find_param(tc_callback *callback, tc_str name) {
#define X(member)                                                                                  \
  if (tc_str_equal(name, TC_STR(#member))) return &callback->member;
  TC_CALLBACK_PARAMS(X)
#undef X
  return NULL;
}

static int read_pair(tc_callback *callback, const tc_form_pair *pair, tc_error *err) {
  tc_buf name = TC_BUF_EMPTY;
  tc_buf *param = NULL;
  int rc = tc_form_decode(&name, pair->name, err);
  if (rc == 0) param = find_param(callback, tc_buf_str(&name));
  tc_buf_free(&name);
  if (rc != 0 || param == NULL) return rc;
  if (param->data != NULL) {
    return tc_error_set(err, TC_ERR_PROTOCOL, "the response holds a parameter twice");
  }
  if (tc_buf_reserve(param, pair->value.len) == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if ((rc = tc_form_decode(param, pair->value, err)) != 0) return rc;
  if (param->len > 0 && memchr(param->data, '\0', param->len) != NULL) {
    return tc_error_set(err, TC_ERR_PROTOCOL, "the response holds a NUL byte");
  }
  return 0;
}

static int read_pairs(tc_callback *callback, tc_str pairs, tc_error *err) {
  tc_form_pair pair;
  while (tc_form_next(&pairs, &pair)) {
    int rc = read_pair(callback, &pair, err);
    if (rc != 0) return rc;
  }
  return 0;
}

static size_t find(tc_str text, char c) {
  const char *found = text.len > 0 ? memchr(text.data, c, text.len) : NULL;
  return found != NULL ? (size_t)(found - text.data) : text.len;
}

static tc_str slice(tc_str text, size_t from, size_t to) {
  return from < to ? (tc_str){text.data + from, to - from} : TC_STR("");
}

int tc_callback_read(tc_callback *callback, tc_str text, tc_error *err) {
  text = tc_str_trim(text, TC_STR(" \t\r\n"));
  if (text.len == 0) return tc_error_set(err, TC_ERR_PROTOCOL, "the response is empty");
  if (text.len > TC_CALLBACK_MAX) {
    return tc_error_set(err, TC_ERR_PROTOCOL, "the response is longer than %d bytes",
                        TC_CALLBACK_MAX);
  }
  if (memchr(text.data, '\0', text.len) != NULL) {
    return tc_error_set(err, TC_ERR_PROTOCOL, "the response holds a NUL byte");
  }
  size_t hash = find(text, '#');
  size_t question = find(slice(text, 0, hash), '?');
  if (hash == text.len && question == text.len && find(text, '=') == text.len) {
    if (find(text, '/') < text.len || find(text, '&') < text.len || find(text, '%') < text.len) {
      return tc_error_set(err, TC_ERR_PROTOCOL,
                          "the response is neither a URL with parameters nor "
                          "a code");
    }
    tc_buf_add_str(&callback->code, text);
    return callback->code.failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
  }
  /* a bare query has no '?' and no '#': all of it is pairs */
  bool is_bare = question == text.len && hash == text.len;
  tc_str query = is_bare ? text : slice(text, question < hash ? question + 1 : hash, hash);
  int rc = read_pairs(callback, query, err);
  return rc != 0 ? rc : read_pairs(callback, slice(text, hash + 1, text.len), err);
}

static tc_str value_of(const tc_buf *param) {
  return param->data != NULL ? tc_buf_str(param) : TC_STR_NONE;
}

/* Such as the address of the login page, which has our state. The caller misses what it wants. */
static bool is_no_answer(const tc_callback *callback) {
  return callback->code.len == 0 && callback->error.len == 0 && callback->access_token.len == 0;
}

static int check_issuer(const tc_callback *callback, const tc_callback_expectation *expected,
                        tc_error *err) {
  tc_str iss = value_of(&callback->iss);
  if (expected->issuer.data == NULL) return 0;
  if (iss.data == NULL && (expected->iss_optional || is_no_answer(callback))) return 0;
  if (iss.data == NULL) {
    return tc_error_set(err, TC_ERR_STATE,
                        "the response names no issuer (iss, RFC 9207); if this provider never "
                        "sends one, give the provider "
                        "authorization_response_iss_parameter_supported = false");
  }
  if (tc_str_equal(iss, expected->issuer)) return 0;
  char shown[128];
  tc_error_copy_foreign(shown, sizeof shown, iss);
  return tc_error_set(err, TC_ERR_STATE,
                      "the response comes from another issuer (RFC 9207), %s; check the provider's "
                      "issuer, or start the login again",
                      shown);
}

static int report_denial(const tc_callback *callback, tc_error *err) {
  tc_error_copy_foreign(err->code, sizeof err->code, tc_buf_str(&callback->error));
  tc_error_copy_foreign(err->description, sizeof err->description,
                        tc_buf_str(&callback->error_description));
  return tc_error_set(err, TC_ERR_DENIED, "the login was refused: %s%s%s", err->code,
                      err->description[0] != '\0' ? " - " : "", err->description);
}

int tc_callback_check(const tc_callback *callback, const tc_callback_expectation *expected,
                      tc_error *err) {
  tc_str state = value_of(&callback->state);
  if (state.data == NULL) {
    return tc_error_set(err, TC_ERR_STATE, "the response has no state; start the login again");
  }
  if (!tc_secret_equal(state, expected->state)) {
    return tc_error_set(err, TC_ERR_STATE,
                        "the response's state is that of another login; start the login again");
  }
  int rc = check_issuer(callback, expected, err);
  if (rc != 0) return rc;
  return callback->error.len > 0 ? report_denial(callback, err) : 0;
}

void tc_callback_free(tc_callback *callback) {
#define X(member) tc_buf_free(&callback->member);
  TC_CALLBACK_PARAMS(X)
#undef X
}
