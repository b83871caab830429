/* Servers and transports that echo the request in their error messages. */
#pragma once

#include "core/str.h"

/* Replaces by asterisks (tc_redact) what the `len` bytes at `text` repeat of a request's secrets:
   the values but for the public ones in `sent`, its form-encoded body and, in the same form, what
   else was sent with it. False: out of memory, and some may still be there. */
bool tc_echo_hide(char *text, size_t len, tc_str sent);
