#include "core/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/utf8.h"

/* The character of a well-formed sequence. */
static uint32_t decode_utf8(const unsigned char *at, size_t len) {
  uint32_t c = len == 1 ? at[0] : at[0] & (0xFFu >> (len + 1));
  for (size_t i = 1; i < len; i++) c = c << 6 | (at[i] & 0x3F);
  return c;
}

static void add_unit(tc_buf *buf, uint32_t unit) {
  static const char hex[] = "0123456789abcdef";
  char escape[6] = {
      '\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15], hex[unit & 15]};
  tc_buf_add(buf, escape, sizeof escape);
}

static void add_escape(tc_buf *buf, uint32_t c) {
  static const char values[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
  const char *found = c != 0 && c < 0x80 ? strchr(values, (int)c) : NULL;
  if (found != NULL) {
    tc_buf_add_char(buf, '\\');
    tc_buf_add_char(buf, names[found - values]);
  } else if (c < 0x10000) {
    add_unit(buf, c);
  } else {
    add_unit(buf, 0xD800 + ((c - 0x10000) >> 10));
    add_unit(buf, 0xDC00 + ((c - 0x10000) & 0x3FF));
  }
}

bool tc_json_add_string(tc_buf *buf, tc_str text) {
  const unsigned char *bytes = (const unsigned char *)text.data;
  size_t run = 0; /* where the plain characters not yet added begin */
  tc_buf_add_char(buf, '"');
  for (size_t i = 0; i < text.len;) {
    unsigned char c = bytes[i];
    if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
      i++;
      continue;
    }
    size_t len = tc_utf8_length(bytes + i, text.len - i);
    if (len == 0) return false;
    tc_buf_add(buf, text.data + run, i - run);
    add_escape(buf, decode_utf8(bytes + i, len));
    i += len;
    run = i;
  }
  tc_buf_add(buf, text.data + run, text.len - run);
  tc_buf_add_char(buf, '"');
  return true;
}

void tc_json_add_integer(tc_buf *buf, int64_t value) {
  char digits[24];
  (void)snprintf(digits, sizeof digits, "%" PRId64, value);
  tc_buf_add_text(buf, digits);
}

bool tc_json_add_real(tc_buf *buf, double value) {
  char digits[32]; /* 17 digits, sign, point, exponent */
  if (!isfinite(value)) return false;
  for (int precision = 15; precision <= 17; precision++) {
    (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (strtod(digits, NULL) == value) break;
  }
  size_t whole = strspn(digits, "-0123456789");
  if (digits[whole] == '\0') {
    tc_buf_add_text(buf, digits);
    tc_buf_add_text(buf, ".0");
    return true;
  }
  if (digits[whole] != 'e') digits[whole] = '.'; /* the locale may have put a comma */
  tc_buf_add_text(buf, digits);
  return true;
}
