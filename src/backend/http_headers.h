/* The headers of a request as libcurl takes them. */
#pragma once

#include "backend/http.h"

struct curl_slist;

/* Makes a list in `*list`, which is NULL after an error. */
int tc_http_headers_make(struct curl_slist **list, const tc_http_header *headers, size_t count,
                         tc_error *err);

/* Erases and frees; NULL is an empty list. */
void tc_http_headers_free(struct curl_slist *list);
