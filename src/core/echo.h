/* Servers and transports that echo the request in their error messages. */
#ifndef TC_ECHO_H
#define TC_ECHO_H

#include "core/str.h"

/* Replaces by asterisks what the `len` bytes at `text` repeat of a token request's secrets, encoded
   or not: of the client's, of its form-encoded body and of its Authorization. False: out of memory,
   and some may still be there. */
bool tc_echo_hide(char *text, size_t len, tc_str client_secret, tc_str body, tc_str authorization);

#endif
