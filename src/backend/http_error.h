/* What libcurl's failures mean to a caller. */
#pragma once

#include <curl/curl.h>

#include "core/error.h"

/* Describes a failed transfer. `origin` is where the request went: "https://host:port"; `reason`
   is libcurl's error buffer; `proxy_status` is what a proxy answered in its own name, 0 if nothing;
   `sent` tells whether the request may have reached the server, and `to_proxy` that it was on its
   way to a proxy. */
int tc_http_error(tc_error *err, CURLcode code, const char *origin, const char *reason,
                  long proxy_status, bool sent, bool to_proxy);
