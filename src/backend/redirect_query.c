#include "backend/redirect_query.h"

#include "core/form.h"
#include "core/secret.h"

typedef struct findings {
  unsigned states;
  bool state_fits;
  bool has_grant;
  bool has_error;
  bool is_broken; /* a percent-encoding somewhere */
} findings;

/* Decodes `text` into `out`, emptied first; false where that cannot be done. */
static bool decode(tc_buf *out, tc_str text, findings *found, tc_error *err) {
  tc_buf_clear(out);
  if (tc_form_decode(out, text, err) == 0) return true;
  found->is_broken = true;
  return false;
}

static void look_at(tc_form_pair pair, tc_str state, tc_buf *room, findings *found, tc_error *err) {
  if (!decode(room, pair.name, found, err)) return;
  tc_str name = tc_buf_str(room);
  bool is_state = tc_str_equal(name, TC_STR("state"));
  if (is_state) found->states++;
  if (tc_str_equal(name, TC_STR("error"))) found->has_error = true;
  if (tc_str_equal(name, TC_STR("code")) || tc_str_equal(name, TC_STR("access_token"))) {
    found->has_grant = true;
  }
  bool is_whole = decode(room, pair.value, found, err);
  if (is_state) found->state_fits = is_whole && tc_secret_equal(tc_buf_str(room), state);
}

int tc_redirect_judge(tc_str query, tc_str state, tc_redirect_verdict *verdict, tc_error *err) {
  findings found = {0};
  tc_form_pair pair;
  tc_buf room = TC_BUF_EMPTY;
  tc_error broken = TC_ERROR_NONE;
  while (broken.number != TC_ERR_NOMEM && tc_form_next(&query, &pair)) {
    look_at(pair, state, &room, &found, &broken);
  }
  tc_buf_free(&room);
  if (broken.number == TC_ERR_NOMEM) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (found.states != 1 || !found.state_fits) {
    *verdict = TC_REDIRECT_FOREIGN;
  } else if (found.has_grant && !found.has_error && !found.is_broken) {
    *verdict = TC_REDIRECT_GRANTED;
  } else {
    *verdict = TC_REDIRECT_REFUSED;
  }
  return 0;
}
