/* zlib's format (RFC 1950), over zlib. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

enum {
  TC_INFLATE_TRUNCATED = 1, /* it ends too early */
  TC_INFLATE_DAMAGED = 2,
  TC_INFLATE_TOO_LONG = 3, /* more than `most` bytes come of it */
};

/* Appends the bytes compressed, at zlib's own level: what Python's zlib.compress makes of them. */
int tc_deflate(tc_buf *out, tc_str bytes, tc_error *err);

/* Appends at most `most` bytes; room is made as they come. Returns one of the numbers above where
   that is not all of one whole stream and nothing behind it. What `out` got then means nothing. */
int tc_inflate(tc_buf *out, tc_str bytes, size_t most, tc_error *err);
