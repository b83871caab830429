#include "core/redact.h"

#include <stdlib.h>

#include "core/hex.h"

#define SHORTEST 4 /* bytes */

/* What looks for the secret, byte by byte, by Knuth, Morris and Pratt: in time that grows with the
   text, however much the secret repeats itself. */
typedef struct matcher {
  tc_str secret;
  bool folds;      /* '+' is a blank */
  size_t *borders; /* borders[i]: of the first i+1 bytes, the longest true prefix that ends them */
  size_t *starts;  /* where in the text the last bytes begin, in a ring */
  size_t count;    /* bytes looked at */
  size_t matched;  /* bytes of the secret that the last ones are */
  size_t hidden;   /* where the last occurrence ends */
} matcher;

static char folded(const matcher *m, char c) {
  return m->folds && c == '+' ? ' ' : c;
}

/* How much of the secret is matched once `c` has followed `matched` bytes of it. */
static size_t advance(const matcher *m, size_t matched, char c) {
  while (matched > 0 && folded(m, m->secret.data[matched]) != c) matched = m->borders[matched - 1];
  return folded(m, m->secret.data[matched]) == c ? matched + 1 : 0;
}

static void find_borders(matcher *m) {
  m->borders[0] = 0;
  for (size_t i = 1; i < m->secret.len; i++) {
    m->borders[i] = advance(m, m->borders[i - 1], folded(m, m->secret.data[i]));
  }
}

/* Of the text up to `end`, hides the last bytes, which were matched. */
static void hide(matcher *m, char *text, size_t end) {
  size_t from = m->starts[(m->count - m->matched) % m->secret.len];
  if (from < m->hidden) from = m->hidden;
  memset(text + from, '*', end - from);
  m->hidden = end;
}

/* Takes the byte that stands in the text from `start` to `end`. */
static void take(matcher *m, char *text, char c, size_t start, size_t end) {
  m->starts[m->count++ % m->secret.len] = start;
  m->matched = advance(m, m->matched, folded(m, c));
  if (m->matched < m->secret.len) return;
  hide(m, text, end);
  m->matched = m->borders[m->matched - 1];
}

/* The end of the text may have cut off the rest of the secret. */
static void end_at(matcher *m, char *text, size_t end) {
  if (m->matched >= SHORTEST && end > m->hidden) hide(m, text, end);
}

static bool is_hex(char c) {
  return tc_hex_value(c) >= 0;
}

/* Returns the length of the byte at `text`, which is 3 where it is percent-encoded. */
static size_t decode(const char *text, size_t left, char *byte) {
  *byte = text[0];
  if (text[0] != '%' || left < 3 || !is_hex(text[1]) || !is_hex(text[2])) return 1;
  *byte = (char)(tc_hex_value(text[1]) << 4 | tc_hex_value(text[2]));
  return 3;
}

/* Reports whether the text's end cuts a percent-encoded byte in two. */
static bool is_cut(const char *text, size_t left) {
  return text[0] == '%' && (left == 1 || (left == 2 && is_hex(text[1])));
}

static void scan(char *text, size_t len, matcher *plain, matcher *encoded) {
  size_t i = 0;
  while (i < len && !is_cut(text + i, len - i)) {
    char byte;
    size_t start = i, width = decode(text + i, len - i, &byte);
    for (; i < start + width; i++) take(plain, text, text[i], i, i + 1);
    take(encoded, text, byte, start, i);
  }
  for (; i < len; i++) take(plain, text, text[i], i, i + 1);
  end_at(plain, text, len);
  end_at(encoded, text, len);
}

bool tc_redact(char *text, size_t len, tc_str secret) {
  if (secret.len < SHORTEST || len < SHORTEST) return true;
  if (secret.len > len) secret.len = len; /* the text can hold no more of it */
  size_t *room = malloc(4 * secret.len * sizeof *room);
  if (room == NULL) return false;
  matcher plain = {.secret = secret, .borders = room, .starts = room + secret.len};
  matcher encoded = {.secret = secret,
                     .folds = true,
                     .borders = room + 2 * secret.len,
                     .starts = room + 3 * secret.len};
  find_borders(&plain);
  find_borders(&encoded);
  scan(text, len, &plain, &encoded);
  free(room);
  return true;
}
