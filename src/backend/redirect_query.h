/* Whether a query string, or a fragment, is the answer to the login that is waited for. */
#pragma once

#include "core/error.h"

typedef enum tc_redirect_verdict {
  TC_REDIRECT_FOREIGN, /* none of ours: not exactly one `state`, or another one */
  TC_REDIRECT_GRANTED, /* ours, with a code or token and no `error` */
  TC_REDIRECT_REFUSED  /* ours, without */
} tc_redirect_verdict;

/* Judges the encoded parameters in `query` by the expected `state`. Fails without memory only. */
int tc_redirect_judge(tc_str query, tc_str state, tc_redirect_verdict *verdict, tc_error *err);
