/* What the fuzz targets share. */
#ifndef TC_FUZZ_H
#define TC_FUZZ_H

#include <stdint.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition) {
  if (!condition) abort();
}

/* Whether a terminal shows the text and does nothing else. */
static inline void require_printable(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  size_t left = strlen(text);
  while (left > 0) {
    size_t len = tc_utf8_length(at, left);
    require(len > 0 && at[0] >= 0x20 && at[0] != 0x7F);
    require(len != 2 || at[0] != 0xC2 || at[1] >= 0xA0);
    at += len;
    left -= len;
  }
}

/* An error that is fit to be shown, of the number that was returned. */
static inline void require_error(const tc_error *err, int number) {
  require(number < 0 && err->number == number && err->message[0] != '\0');
  require_printable(err->message);
  require_printable(err->code);
  require_printable(err->description);
}

#endif
