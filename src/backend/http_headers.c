#include "backend/http_headers.h"

#include <curl/curl.h>

#include "core/secret.h"

void tc_http_headers_free(struct curl_slist *list) {
  for (struct curl_slist *at = list; at != NULL; at = at->next) tc_wipe(at->data, strlen(at->data));
  curl_slist_free_all(list);
}

static bool append(struct curl_slist **list, const char *line) {
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (longer != NULL) *list = longer;
  return longer != NULL;
}

static bool is_one_line(tc_str text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == '\0') return false;
  }
  return true;
}

static int add(struct curl_slist **list, const tc_http_header *header, tc_buf *line,
               tc_error *err) {
  if (tc_str_is_empty(header->name) || !is_one_line(header->name) || !is_one_line(header->value)) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "headers: a header without a name, or with a line break or NUL in it");
  }
  tc_buf_clear(line);
  tc_buf_add_str(line, header->name);
  tc_buf_add_text(line, tc_str_is_empty(header->value) ? ";" : ": "); /* ";" is libcurl's empty */
  tc_buf_add_str(line, header->value);
  return !line->failed && append(list, line->data) ? 0 : tc_error_set(err, TC_ERR_NOMEM, NULL);
}

int tc_http_headers_make(struct curl_slist **list, const tc_http_header *headers, size_t count,
                         tc_error *err) {
  tc_buf line = TC_BUF_EMPTY;
  *list = NULL;
  /* libcurl is not to ask first whether a large body is welcome */
  int status = append(list, "Expect:") ? 0 : tc_error_set(err, TC_ERR_NOMEM, NULL);
  for (size_t i = 0; status == 0 && i < count; i++) {
    status = add(list, &headers[i], &line, err);
  }
  tc_buf_free(&line);
  if (status == 0) return 0;
  tc_http_headers_free(*list);
  *list = NULL;
  return status;
}
