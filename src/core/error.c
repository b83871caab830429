#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/utf8.h"

static const char *const kind_names[] = {
#define X(name, text) text,
    TC_KINDS(X)
#undef X
};

const char *tc_kind_name(tc_kind kind) {
  return kind_names[kind];
}

void tc_kind_find(const char *name, tc_kind *kind) {
  for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++) {
    if (strcmp(name, kind_names[i]) == 0) *kind = (tc_kind)i;
  }
}

/* By the numbers, which are negative. */
static const struct {
  tc_kind kind;
  const char *text;
} meanings[] = {
#define X(name, number, kind, text) [-(number)] = {TC_KIND_##kind, text},
    TC_ERRORS(X)
#undef X
};

/* Takes off the character that the end of the room cut in two. */
static void trim(char *text) {
  size_t len = strlen(text), start = len;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  start--;
  if (tc_utf8_length((const unsigned char *)text + start, len - start) == 0) text[start] = '\0';
}

int tc_error_set(tc_error *err, int number, const char *format, ...) {
  err->number = number;
  err->kind = meanings[-number].kind;
  if (format == NULL) {
    (void)snprintf(err->message, sizeof err->message, "%s", meanings[-number].text);
  } else {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (len >= (int)sizeof err->message) trim(err->message);
  }
  return number;
}

bool tc_kind_is_passing(tc_kind kind) {
  return kind == TC_KIND_TRANSIENT || kind == TC_KIND_TIMEOUT || kind == TC_KIND_CACHE;
}

/* C0, DEL, and C1 in its UTF-8 form: a terminal acts on these. */
static bool is_control(const unsigned char *at, size_t len) {
  return at[0] < 0x20 || at[0] == 0x7F || (len == 2 && at[0] == 0xC2 && at[1] < 0xA0);
}

void tc_error_copy_foreign(char *to, size_t size, tc_str from) {
  size_t used = 0;
  for (size_t i = 0; i < from.len;) {
    const unsigned char *at = (const unsigned char *)from.data + i;
    size_t len = tc_utf8_length(at, from.len - i);
    bool shown = len > 0 && !is_control(at, len);
    size_t width = shown ? len : 1;
    if (used + width + 1 > size) break;
    if (shown) {
      memcpy(to + used, at, len);
    } else {
      to[used] = '?';
    }
    used += width;
    i += len > 0 ? len : 1;
  }
  to[used] = '\0';
}
