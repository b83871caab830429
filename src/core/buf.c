#include "core/buf.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/secret.h"

#define SMALLEST 64

static size_t grown(size_t cap, size_t needed) {
  if (cap < SMALLEST) cap = SMALLEST;
  while (cap < needed) {
    if (cap > SIZE_MAX / 2) return needed;
    cap *= 2;
  }
  return cap;
}

char *tc_buf_reserve(tc_buf *buf, size_t extra) {
  if (buf->failed || extra >= SIZE_MAX - buf->len) {
    buf->failed = true;
    return NULL;
  }
  size_t needed = buf->len + extra + 1;
  if (needed > buf->cap) {
    /* not realloc: it may leave a copy of a secret behind */
    size_t cap = grown(buf->cap, needed);
    char *data = malloc(cap);
    if (data == NULL) {
      buf->failed = true;
      return NULL;
    }
    if (buf->len > 0) memcpy(data, buf->data, buf->len);
    tc_wipe(buf->data, buf->len);
    free(buf->data);
    buf->data = data;
    buf->cap = cap;
  }
  buf->data[buf->len] = '\0';
  return buf->data + buf->len;
}

void tc_buf_add(tc_buf *buf, const char *data, size_t len) {
  char *end = tc_buf_reserve(buf, len);
  if (end == NULL) return;
  if (len > 0) memcpy(end, data, len);
  buf->len += len;
  buf->data[buf->len] = '\0';
}

void tc_buf_add_str(tc_buf *buf, tc_str text) {
  tc_buf_add(buf, text.data, text.len);
}

void tc_buf_add_text(tc_buf *buf, const char *text) {
  tc_buf_add(buf, text, strlen(text));
}

void tc_buf_add_char(tc_buf *buf, char c) {
  tc_buf_add(buf, &c, 1);
}

void tc_buf_clear(tc_buf *buf) {
  tc_wipe(buf->data, buf->len);
  buf->len = 0;
  buf->failed = false;
  if (buf->data != NULL) buf->data[0] = '\0';
}

void tc_buf_free(tc_buf *buf) {
  tc_wipe(buf->data, buf->len);
  free(buf->data);
  *buf = TC_BUF_EMPTY;
}
