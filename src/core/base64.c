#include "core/base64.h"

#include <stdint.h>

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char url_digits[] = ALPHANUMERIC "-_";

static void encode(tc_buf *out, tc_str bytes, const char *digits, bool padded) {
  const unsigned char *in = (const unsigned char *)bytes.data;
  for (size_t i = 0; i < bytes.len; i += 3) {
    size_t left = bytes.len - i;
    uint32_t group = (uint32_t)in[i] << 16;
    if (left > 1) group |= (uint32_t)in[i + 1] << 8;
    if (left > 2) group |= in[i + 2];
    char quad[] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
    if (left > 1) quad[2] = digits[group >> 6 & 63];
    if (left > 2) quad[3] = digits[group & 63];
    tc_buf_add(out, quad, padded || left > 2 ? 4 : left + 1);
  }
}

void tc_base64_encode(tc_buf *out, tc_str bytes) {
  encode(out, bytes, ALPHANUMERIC "+/", true);
}

void tc_base64url_encode(tc_buf *out, tc_str bytes) {
  encode(out, bytes, url_digits, false);
}

bool tc_base64url_decode(tc_buf *out, tc_str text) {
  uint32_t bits = 0;
  unsigned count = 0; /* of the bits not given out yet */
  if (text.len % 4 == 1) return false;
  for (size_t i = 0; i < text.len; i++) {
    const char *digit = memchr(url_digits, text.data[i], sizeof url_digits - 1);
    if (digit == NULL) return false;
    bits = bits << 6 | (uint32_t)(digit - url_digits);
    count += 6;
    if (count >= 8) {
      count -= 8;
      tc_buf_add_char(out, (char)(unsigned char)(bits >> count));
      bits &= (1U << count) - 1;
    }
  }
  return bits == 0;
}
