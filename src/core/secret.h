/* Secrets: erased when done with, compared in constant time, cut out of whatever is shown. */
#ifndef TC_SECRET_H
#define TC_SECRET_H

#include "core/str.h"

/* Overwrites memory in a way the compiler may not remove. */
void tc_wipe(void *data, size_t len);

/* Compares without telling, by its duration, where the two differ. */
bool tc_secret_equal(tc_str a, tc_str b);

/* Replaces every occurrence of `secret` in the `len` bytes at `text` by asterisks, in place;
   also one that the end of the text cuts off.
   Secrets shorter than four bytes are left: they would blot out ordinary words. */
void tc_redact(char *text, size_t len, tc_str secret);

#endif
