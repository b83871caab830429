/* The Retry-After header (RFC 9110 §10.2.3). */
#pragma once

#include "core/str.h"

/* Seconds to wait from `now` (Unix seconds); negative where the text is neither a number of seconds
   nor an HTTP-date in one of its three forms (§5.6.7). A date gone by is 0. */
double tc_retry_after_parse(tc_str text, double now);
