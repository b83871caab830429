/* URLs, as far as OAuth endpoints and redirect URIs need them (RFC 3986 §3). */
#pragma once

#include "core/error.h"

typedef struct tc_url {
  tc_str scheme; /* as written */
  tc_str host;   /* without the brackets of an IPv6 literal */
  tc_str port;   /* absent where the URL names none */
  tc_str path;
  tc_str query;    /* absent without '?' */
  tc_str fragment; /* absent without '#' */
} tc_url;

/* Splits an absolute URL with an authority. Control characters, blanks, userinfo and bad ports are
   refused. The parts borrow from `text`. */
int tc_url_parse(tc_str text, tc_url *url, tc_error *err);

/* Checks an address that secrets travel to: https, or http where that does not leave the machine or
   `may_be_plain`, and without a fragment. `name` is for the message. */
int tc_url_check_endpoint(const char *name, tc_str text, bool may_be_plain, tc_error *err);

/* 127.0.0.0/8 and ::1 as literals, and "localhost". */
bool tc_url_is_loopback(const tc_url *url);
