/* The small parsers of foreign text: none reads outside it, and what they make is well-formed. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/retry_after.h"
#include "core/scope.h"
#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(tc_str text) {
  tc_url url;
  tc_error err = TC_ERROR_NONE;
  if (tc_url_parse(text, &url, &err) != 0) return;
  if (url.host.data < text.data || url.host.data + url.host.len > text.data + text.len) abort();
  (void)tc_url_check_endpoint("a_url", text, false, &err);
}

static void check_scope(tc_str text) {
  tc_buf once = TC_BUF_EMPTY, twice = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  if (tc_scope_normalize(&once, text, &err) == 0) {
    if (tc_scope_normalize(&twice, tc_buf_str(&once), &err) != 0) abort();
    if (!tc_str_equal(tc_buf_str(&once), tc_buf_str(&twice))) abort();
    if (!tc_scope_is_subset(tc_buf_str(&once), tc_buf_str(&twice))) abort();
  }
  tc_buf_free(&once);
  tc_buf_free(&twice);
}

static void check_foreign_text(tc_str text) {
  char copy[64];
  tc_error_copy_foreign(copy, sizeof(copy), text);
  if (strlen(copy) >= sizeof(copy)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tc_str text = {(const char *)data, size};
  check_url(text);
  check_scope(text);
  check_foreign_text(text);
  if (isnan(tc_retry_after_parse(text, 1760000000))) abort();
  return 0;
}
