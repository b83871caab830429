/* Servers and transports that echo the request in their error messages. */
#pragma once

#include "core/str.h"

/* Replaces by asterisks (tc_redact) what the `len` bytes at `text` repeat of a token request's
   secrets: the client's, the values in its form-encoded body but for the public ones, and the
   credentials of its Authorization. False: out of memory, and some may still be there. */
bool tc_echo_hide(char *text, size_t len, tc_str client_secret, tc_str body, tc_str authorization);
