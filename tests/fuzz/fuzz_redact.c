/* What tc_redact hides is what the simplest way finds: each occurrence, looked for at each place.
   The first byte is the length of the secret, which comes next; the rest is the text. */
#include "core/hex.h"
#include "core/redact.h"
#include "fuzz.h"

#define MOST 600 /* bytes */
#define SHORTEST 4

/* The text as bytes, each with the place where it begins; one more tells the end. */
typedef struct reading {
  char bytes[MOST];
  size_t starts[MOST + 1];
  size_t count;
} reading;

static char fold(char c) {
  return c == '+' ? ' ' : c;
}

/* A byte that the end of the text cuts in two ends the reading. */
static void read_encoded(reading *to, tc_str text) {
  to->count = 0;
  for (size_t i = 0; i < text.len;) {
    size_t left = text.len - i;
    const char *at = text.data + i;
    bool escapes = at[0] == '%' && (left < 2 || tc_hex_value(at[1]) >= 0) &&
                   (left < 3 || tc_hex_value(at[2]) >= 0);
    if (escapes && left < 3) return;
    to->starts[to->count] = i;
    to->bytes[to->count++] =
        fold(escapes ? (char)(tc_hex_value(at[1]) << 4 | tc_hex_value(at[2])) : at[0]);
    i += escapes ? 3 : 1;
    to->starts[to->count] = i;
  }
}

static void read_plain(reading *to, tc_str text) {
  to->count = text.len;
  memcpy(to->bytes, text.data, text.len);
  for (size_t i = 0; i <= text.len; i++) to->starts[i] = i;
}

static void mark(bool *hidden, const reading *text, const char *secret, size_t len, size_t end) {
  for (size_t i = 0; i < text->count; i++) {
    bool cut = text->count - i < len;
    size_t most = cut ? text->count - i : len;
    if (most < SHORTEST || memcmp(text->bytes + i, secret, most) != 0) continue;
    size_t until = cut ? end : text->starts[i + most];
    for (size_t k = text->starts[i]; k < until; k++) hidden[k] = true;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static reading plain, encoded;
  char secret[256], folded[256], shown[MOST];
  bool hidden[MOST] = {false};
  size_t len = size > 0 ? data[0] : 0;
  if (size < 1 + len || size - 1 - len > MOST) return 0;
  tc_str text = {(const char *)data + 1 + len, size - 1 - len};
  memcpy(secret, data + 1, len);
  for (size_t i = 0; i < len; i++) folded[i] = fold(secret[i]);
  memcpy(shown, text.data, text.len);
  require(tc_redact(shown, text.len, (tc_str){secret, len}));
  if (len >= SHORTEST) {
    read_plain(&plain, text);
    read_encoded(&encoded, text);
    mark(hidden, &plain, secret, len, text.len);
    mark(hidden, &encoded, folded, len, text.len);
  }
  for (size_t i = 0; i < text.len; i++) require(shown[i] == (hidden[i] ? '*' : text.data[i]));
  return 0;
}
