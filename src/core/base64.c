#include "core/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void tc_base64url_encode(tc_buf *out, tc_str bytes) {
  const unsigned char *in = (const unsigned char *)bytes.data;
  char *to = tc_buf_reserve(out, bytes.len / 3 * 4 + 4);
  if (to == NULL) return; /* the buffer tells */
  for (size_t i = 0; i < bytes.len; i += 3) {
    size_t left = bytes.len - i;
    uint32_t group = (uint32_t)in[i] << 16;
    if (left > 1) group |= (uint32_t)in[i + 1] << 8;
    if (left > 2) group |= in[i + 2];
    *to++ = digits[group >> 18];
    *to++ = digits[group >> 12 & 63];
    if (left > 1) *to++ = digits[group >> 6 & 63];
    if (left > 2) *to++ = digits[group & 63];
  }
  *to = '\0';
  out->len = (size_t)(to - out->data);
}

#define NONE 0xFF

/* Of the digits, by byte. */
static const unsigned char url_values[128] = {
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 62,   NONE, NONE,
    52,   53,   54,   55,   56,   57,   58,   59,   60,   61,   NONE, NONE, NONE, NONE, NONE, NONE,
    NONE, 0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,
    15,   16,   17,   18,   19,   20,   21,   22,   23,   24,   25,   NONE, NONE, NONE, NONE, 63,
    NONE, 26,   27,   28,   29,   30,   31,   32,   33,   34,   35,   36,   37,   38,   39,   40,
    41,   42,   43,   44,   45,   46,   47,   48,   49,   50,   51,   NONE, NONE, NONE, NONE, NONE,
};

static uint32_t url_value(char c) {
  unsigned char byte = (unsigned char)c;
  return byte < sizeof url_values ? url_values[byte] : NONE;
}

bool tc_base64url_decode(tc_buf *out, tc_str text) {
  uint32_t all = 0;
  if (text.len % 4 == 1) return false;
  char *to = tc_buf_reserve(out, text.len / 4 * 3 + 2);
  if (to == NULL) return true; /* the buffer tells */
  for (size_t i = 0; i < text.len; i += 4) {
    size_t left = text.len - i;
    const char *at = text.data + i;
    uint32_t first = url_value(at[0]), second = url_value(at[1]);
    uint32_t third = left > 2 ? url_value(at[2]) : 0, fourth = left > 3 ? url_value(at[3]) : 0;
    uint32_t group = first << 18 | second << 12 | third << 6 | fourth;
    all |= first | second | third | fourth;
    *to++ = (char)(unsigned char)(group >> 16);
    if (left > 2) *to++ = (char)(unsigned char)(group >> 8);
    if (left > 3) *to++ = (char)(unsigned char)group;
    if (left < 4 && (group & (left > 2 ? 0xFFU : 0xFFFFU)) != 0) return false;
  }
  *to = '\0';
  out->len = (size_t)(to - out->data);
  return all < 64;
}
