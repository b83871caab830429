#include "core/pending.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/form.h"

#define VERSION "1."
#define MOST_DIGITS 15
#define TOLERANCE 60 /* seconds that the clocks of two machines may differ */

void tc_pending_write(tc_buf *out, const tc_pending *pending) {
  char created[24];
  tc_buf form = TC_BUF_EMPTY;
  (void)snprintf(created, sizeof created, "%" PRId64, pending->created);
  tc_form_add(&form, TC_STR("created"), tc_str_of(created));
#define X(member)                                                                                  \
  tc_form_add(&form, TC_STR(#member), tc_buf_str(&pending->member));                               \
  form.failed = form.failed || pending->member.failed;
  TC_PENDING_FIELDS(X)
#undef X
  tc_buf_add_text(out, VERSION);
  tc_buf_add_str(out, tc_buf_str(&form));
  out->failed = out->failed || form.failed;
  tc_buf_free(&form);
}

static int malformed(tc_error *err) {
  return tc_error_set(
      err, TC_ERR_STATE,
      "the pending login is malformed; keep what get_authorize_url returned unchanged");
}

static int read_created(tc_pending *pending, tc_str digits, tc_error *err) {
  int64_t sum = 0;
  if (digits.len == 0 || digits.len > MOST_DIGITS || pending->created != 0) return malformed(err);
  for (size_t i = 0; i < digits.len; i++) {
    if (digits.data[i] < '0' || digits.data[i] > '9') return malformed(err);
    sum = sum * 10 + (digits.data[i] - '0');
  }
  pending->created = sum;
  return sum > 0 ? 0 : malformed(err);
}

static int read_text(tc_buf *field, tc_str encoded, tc_error *err) {
  if (field->data != NULL) return malformed(err);
  if (tc_buf_reserve(field, encoded.len) == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  int rc = tc_form_decode(field, encoded, err);
  return rc == TC_ERR_PROTOCOL ? malformed(err) : rc;
}

static int read_field(tc_pending *pending, const tc_form_pair *pair, tc_error *err) {
  if (tc_str_equal(pair->name, TC_STR("created"))) return read_created(pending, pair->value, err);
#define X(member)                                                                                  \
  if (tc_str_equal(pair->name, TC_STR(#member))) {                                                 \
    return read_text(&pending->member, pair->value, err);                                          \
  }
  TC_PENDING_FIELDS(X)
#undef X
  return malformed(err);
}

int tc_pending_read(tc_pending *pending, tc_str text, tc_error *err) {
  const size_t prefix = sizeof VERSION - 1;
  tc_form_pair pair;
  if (text.len > TC_PENDING_MAX || text.len < prefix || memcmp(text.data, VERSION, prefix) != 0) {
    return malformed(err);
  }
  tc_str rest = {text.data + prefix, text.len - prefix};
  while (tc_form_next(&rest, &pair)) {
    int rc = read_field(pending, &pair, err);
    if (rc != 0) return rc;
  }
  bool whole = pending->created > 0 && pending->state.len > 0 && pending->client_id.len > 0;
  return whole ? 0 : malformed(err);
}

int tc_pending_check(const tc_pending *pending, tc_str client_id, tc_str redirect_uri, double now,
                     tc_error *err) {
  double age = now - (double)pending->created;
  if (!tc_str_equal(tc_buf_str(&pending->client_id), client_id)) {
    return tc_error_set(err, TC_ERR_STATE, "the pending login is that of another client_id");
  }
  if (!tc_str_equal(tc_buf_str(&pending->redirect_uri), redirect_uri)) {
    return tc_error_set(err, TC_ERR_STATE, "the pending login is that of another redirect_uri");
  }
  if (age > TC_PENDING_LIFETIME || age < -TOLERANCE) {
    return tc_error_set(err, TC_ERR_STATE, "the login took longer than %d seconds; start it again",
                        TC_PENDING_LIFETIME);
  }
  return 0;
}

void tc_pending_free(tc_pending *pending) {
#define X(member) tc_buf_free(&pending->member);
  TC_PENDING_FIELDS(X)
#undef X
}
