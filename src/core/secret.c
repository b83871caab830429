#include "core/secret.h"

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
