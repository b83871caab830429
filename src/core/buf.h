/* A growing run of bytes that erases what it held. An append that finds no memory marks the buffer
   as failed and later appends do nothing, so a builder checks once, at its end. */
#pragma once

#include "core/str.h"

typedef struct tc_buf {
  char *data; /* always terminated once anything was added; NULL before */
  size_t len;
  size_t cap;
  bool failed;
} tc_buf;

#define TC_BUF_EMPTY ((tc_buf){NULL, 0, 0, false})

void tc_buf_add(tc_buf *buf, const char *data, size_t len);
void tc_buf_add_str(tc_buf *buf, tc_str text);
void tc_buf_add_text(tc_buf *buf, const char *text);
void tc_buf_add_char(tc_buf *buf, char c);

/* Makes room for `extra` more bytes and returns where they go; NULL without memory.
   The caller writes there and then raises `len` by what it wrote. */
char *tc_buf_reserve(tc_buf *buf, size_t extra);

/* Empties the buffer and keeps its memory; the old content is erased. */
void tc_buf_clear(tc_buf *buf);

/* Erases and frees; the buffer is empty and usable again. */
void tc_buf_free(tc_buf *buf);

static inline tc_str tc_buf_str(const tc_buf *buf) {
  return (tc_str){buf->data != NULL ? buf->data : "", buf->len};
}
