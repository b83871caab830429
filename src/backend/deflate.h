/* The payload of a text that Django or itsdangerous signs: base64url, and where that makes it
   shorter a period and zlib's format (RFC 1950) in base64url. Over zlib. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

enum {
  TC_UNPACK_TRUNCATED = 1, /* what is compressed ends too early */
  TC_UNPACK_DAMAGED = 2,
  TC_UNPACK_TOO_LONG = 3, /* more than `most` bytes come of it */
  TC_UNPACK_NO_BASE64URL = 4,
};

/* Appends what is made of the bytes; compressed at zlib's own level, as by Python. */
int tc_pack(tc_buf *out, tc_str bytes, tc_error *err);

/* Appends at most `most` bytes; room is made as they come. Returns one of the numbers above where
   that is not all of one whole stream and nothing behind it. What `out` got then means nothing. */
int tc_unpack(tc_buf *out, tc_str text, size_t most, tc_error *err);
