/* Base64 (RFC 4648). Here and not from libcrypto because the core must load without it. */
#pragma once

#include "core/buf.h"

/* §5 without padding, as RFC 7636 has it. */
void tc_base64url_encode(tc_buf *out, tc_str bytes);

/* Appends what tc_base64url_encode encoded; false for any other text, also for padding and for
   stray bits in the last digit. What `out` got by then means nothing. */
bool tc_base64url_decode(tc_buf *out, tc_str text);
