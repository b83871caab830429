/* Writes the leaves of JSON (RFC 8259); brackets and commas are the caller's.

   The text is ASCII, as the reference's is: it reads its files in the locale's encoding. */
#pragma once

#include <stdint.h>

#include "core/buf.h"

/* False if `text` is not UTF-8; part of it may have been added then. */
bool tc_json_add_string(tc_buf *buf, tc_str text);

void tc_json_add_integer(tc_buf *buf, int64_t value);

/* Adds 15 digits or as many more as it takes to read `value` back, marked as a real even where it
   is integral. False for what JSON cannot say: infinities and NaN. */
bool tc_json_add_real(tc_buf *buf, double value);
