/* Pending logins as they come back out of a cookie: what is accepted reads the same after it was
   written, and passes for its own client, redirect URI and time only. */
#include "core/pending.h"
#include "fuzz.h"

static void check_same_when_written(const tc_pending *pending) {
  tc_buf text = TC_BUF_EMPTY;
  tc_pending again = {0};
  tc_error err = TC_ERROR_NONE;
  tc_pending_write(&text, pending);
  if (text.len <= TC_PENDING_MAX) {
    require(tc_pending_read(&again, tc_buf_str(&text), &err) == 0);
    require(again.created == pending->created);
#define X(member) require(tc_str_equal(tc_buf_str(&again.member), tc_buf_str(&pending->member)));
    TC_PENDING_FIELDS(X)
#undef X
  }
  tc_pending_free(&again);
  tc_buf_free(&text);
}

static void check_verdicts(const tc_pending *pending) {
  tc_str client_id = tc_buf_str(&pending->client_id);
  tc_str redirect_uri = tc_buf_str(&pending->redirect_uri);
  double created = (double)pending->created;
  tc_error err = TC_ERROR_NONE;
  require(tc_pending_check(pending, client_id, redirect_uri, created, &err) == 0);
  require(tc_pending_check(pending, client_id, redirect_uri, created + TC_PENDING_LIFETIME + 1,
                           &err) == TC_ERR_STATE);
  client_id.len--;
  require(tc_pending_check(pending, client_id, redirect_uri, created, &err) == TC_ERR_STATE);
  require_error(&err, TC_ERR_STATE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tc_pending pending = {0};
  tc_error err = TC_ERROR_NONE;
  int rc = tc_pending_read(&pending, (tc_str){(const char *)data, size}, &err);
  if (rc != 0) {
    require_error(&err, rc);
  } else {
    check_same_when_written(&pending);
    check_verdicts(&pending);
  }
  tc_pending_free(&pending);
  return 0;
}
