/* Responses out of the browser's address bar: whatever is accepted holds no NUL, reads the same
   once it is written properly, and passes the check only with our state and our issuer. */
#include "core/callback.h"
#include "core/form.h"
#include "fuzz.h"

static const tc_callback_expectation expected = {.state = {"s3", 2}, .issuer = {"https://i", 9}};

static void check_param(const tc_buf *param, const tc_buf *again) {
  require((param->data == NULL) == (again->data == NULL));
  require(tc_str_equal(tc_buf_str(param), tc_buf_str(again)));
  require(param->len == 0 || memchr(param->data, '\0', param->len) == NULL);
}

/* Values are at most as long as what they were decoded from, but encoding may lengthen them. */
static void check_same_when_written(const tc_callback *callback) {
  tc_buf text = TC_BUF_EMPTY;
  tc_callback again = {0};
  tc_error err = TC_ERROR_NONE;
  tc_buf_add_char(&text, '?');
#define X(member)                                                                                  \
  if (callback->member.data != NULL) {                                                             \
    if (text.len > 1) tc_buf_add_char(&text, '&');                                                 \
    tc_buf_add_text(&text, #member "=");                                                           \
    tc_form_encode(&text, tc_buf_str(&callback->member));                                          \
  }
  TC_CALLBACK_PARAMS(X)
#undef X
  if (text.len <= TC_CALLBACK_MAX) {
    require(tc_callback_read(&again, tc_buf_str(&text), &err) == 0);
#define X(member) check_param(&callback->member, &again.member);
    TC_CALLBACK_PARAMS(X)
#undef X
  }
  tc_callback_free(&again);
  tc_buf_free(&text);
}

static void check_verdict(const tc_callback *callback) {
  tc_error err = TC_ERROR_NONE;
  int rc = tc_callback_check(callback, &expected, &err);
  bool answers = callback->code.len + callback->error.len + callback->access_token.len > 0;
  bool needs_issuer = answers || callback->iss.data != NULL;
  bool ours = tc_str_equal(tc_buf_str(&callback->state), expected.state) &&
              (!needs_issuer || tc_str_equal(tc_buf_str(&callback->iss), expected.issuer));
  if (rc != 0) require_error(&err, rc);
  require((rc == TC_ERR_STATE) == !ours);
  require((rc == TC_ERR_DENIED) == (ours && callback->error.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tc_callback callback = {0};
  tc_error err = TC_ERROR_NONE;
  int rc = tc_callback_read(&callback, (tc_str){(const char *)data, size}, &err);
  if (rc != 0) {
    require_error(&err, rc);
  } else {
    check_same_when_written(&callback);
    check_verdict(&callback);
  }
  tc_callback_free(&callback);
  return 0;
}
