/* Secrets are cut out of whatever is shown. */
#pragma once

#include "core/str.h"

/* Replaces every occurrence of `secret` in the `len` bytes at `text` by asterisks, in place: byte
   for byte, and with any of its bytes percent-encoded, '+' and blank standing for each other. Also
   the beginning of one, from four bytes on, that the end of the text cuts off. Secrets of less than
   four bytes are left: they would blot out ordinary words.
   False: out of memory, and nothing was replaced. */
bool tc_redact(char *text, size_t len, tc_str secret);
