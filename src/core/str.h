/* A borrowed run of bytes: not owned, not terminated, may hold NULs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct tc_str {
  const char *data; /* NULL means "absent", which differs from empty */
  size_t len;
} tc_str;

#define TC_STR(literal) ((tc_str){"" literal, sizeof(literal) - 1})
#define TC_STR_NONE ((tc_str){NULL, 0})

static inline tc_str tc_str_of(const char *text) {
  return (tc_str){text, text != NULL ? strlen(text) : 0};
}

static inline bool tc_str_equal(tc_str a, tc_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* As memcmp(); of two that begin alike the shorter comes first. */
static inline int tc_str_compare(tc_str a, tc_str b) {
  int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
  return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Returns the part without the characters of `blanks` at both ends. */
static inline tc_str tc_str_trim(tc_str text, tc_str blanks) {
  while (text.len > 0 && memchr(blanks.data, text.data[0], blanks.len) != NULL) {
    text.data++, text.len--;
  }
  while (text.len > 0 && memchr(blanks.data, text.data[text.len - 1], blanks.len) != NULL) {
    text.len--;
  }
  return text;
}

static inline bool tc_str_is_empty(tc_str s) {
  return s.len == 0;
}
