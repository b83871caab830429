#include "core/secret.h"

#define SHORTEST_REDACTED 4

void tc_wipe(void *data, size_t len) {
  if (data != NULL && len > 0) explicit_bzero(data, len);
}

bool tc_secret_equal(tc_str a, tc_str b) {
  unsigned char difference = 0;
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++) {
    difference |= (unsigned char)(a.data[i] ^ b.data[i]);
  }
  return difference == 0;
}

void tc_redact(char *text, size_t len, tc_str secret) {
  size_t until = 0; /* the end of the last occurrence found; occurrences may overlap */
  if (secret.len < SHORTEST_REDACTED) return;
  for (size_t i = 0; i < len; i++) {
    size_t left = len - i < secret.len ? len - i : secret.len; /* the text may have been cut */
    if (left >= SHORTEST_REDACTED && memcmp(text + i, secret.data, left) == 0) until = i + left;
    if (i < until) text[i] = '*';
  }
}
