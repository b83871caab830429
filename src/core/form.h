/* application/x-www-form-urlencoded (RFC 6749 appendix B): bodies, query strings, fragments. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

/* Appends `text` encoded; a space becomes '+'. */
void tc_form_encode(tc_buf *out, tc_str text);

/* Appends `text` decoded. A '%' without two hex digits is TC_ERR_PROTOCOL. */
int tc_form_decode(tc_buf *out, tc_str text, tc_error *err);

/* Appends `name=value`, with '&' before it unless `out` is empty. */
void tc_form_add(tc_buf *out, tc_str name, tc_str value);

typedef struct tc_form_pair {
  tc_str name;  /* still encoded */
  tc_str value; /* still encoded; absent where there is no '=' */
} tc_form_pair;

/* Takes the next pair off `rest`; false when none is left. Empty pairs ("&&") are passed over. */
bool tc_form_next(tc_str *rest, tc_form_pair *pair);
