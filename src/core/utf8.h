/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing beyond U+10FFFF. */
#pragma once

#include <stddef.h>

/* Length of the well-formed sequence at `at`, of which `left` > 0 bytes are there; 0 if it is not
   well-formed. */
size_t tc_utf8_length(const unsigned char *at, size_t left);
