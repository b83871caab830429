/* Hexadecimal digits, of percent-encoding and of JSON's escapes. */
#pragma once

/* The digit's value, or -1. */
static inline int tc_hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
