/* Scopes as sets (RFC 6749 §3.3): words of printable ASCII, their order without meaning. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

/* Appends the scopes of `text`, which blanks or commas separate, sorted, each once, joined by
   spaces. A character that no scope may have is TC_ERR_INVALID. */
int tc_scope_normalize(tc_buf *out, tc_str text, tc_error *err);

/* Whether every scope of `wanted` is among those of `granted`; absent and empty are the same. */
bool tc_scope_is_subset(tc_str wanted, tc_str granted);
