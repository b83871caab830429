#include "backend/deflate.h"

#include <limits.h>
#include <stdint.h>
#include <zlib.h>

#define STEP 4096 /* bytes */

int tc_deflate(tc_buf *out, tc_str bytes, tc_error *err) {
  if (bytes.len > INT_MAX) return tc_error_set(err, TC_ERR_INVALID, "too long to be compressed");
  uLongf len = compressBound((uLong)bytes.len);
  char *to = tc_buf_reserve(out, len);
  if (to == NULL ||
      compress((Bytef *)to, &len, (const Bytef *)bytes.data, (uLong)bytes.len) != Z_OK)
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  out->len += len;
  return 0;
}

static int inflate_all(z_stream *stream, tc_buf *out, size_t most) {
  for (;;) {
    char *to = tc_buf_reserve(out, STEP);
    if (to == NULL) return TC_ERR_NOMEM;
    stream->next_out = (Bytef *)to;
    stream->avail_out = STEP;
    int status = inflate(stream, Z_FINISH); /* needs no window where the room is enough */
    out->len += STEP - stream->avail_out;
    if (out->len > most) return TC_INFLATE_TOO_LONG;
    if (status == Z_STREAM_END) return stream->avail_in == 0 ? 0 : TC_INFLATE_DAMAGED;
    if (status == Z_MEM_ERROR) return TC_ERR_NOMEM;
    if (status != Z_OK && status != Z_BUF_ERROR) return TC_INFLATE_DAMAGED;
    if (stream->avail_out > 0) return TC_INFLATE_TRUNCATED;
  }
}

int tc_inflate(tc_buf *out, tc_str bytes, size_t most, tc_error *err) {
  z_stream stream = {0};
  if (bytes.len > INT_MAX) return TC_INFLATE_TOO_LONG;
  stream.next_in = (z_const Bytef *)(uintptr_t)bytes.data; /* only read */
  stream.avail_in = (uInt)bytes.len;
  if (inflateInit(&stream) != Z_OK) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  int status = inflate_all(&stream, out, out->len + most);
  (void)inflateEnd(&stream);
  return status < 0 ? tc_error_set(err, status, NULL) : status;
}
