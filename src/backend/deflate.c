#include "backend/deflate.h"

#include <limits.h>
#include <stdint.h>
#include <zlib.h>

#include "core/base64.h"

#define LEAST_ROOM 512 /* bytes */

static int deflate_all(tc_buf *out, tc_str bytes) {
  uLongf len = compressBound((uLong)bytes.len);
  char *to = tc_buf_reserve(out, len);
  if (to == NULL ||
      compress((Bytef *)to, &len, (const Bytef *)bytes.data, (uLong)bytes.len) != Z_OK)
    return TC_ERR_NOMEM;
  out->len += len;
  return 0;
}

int tc_pack(tc_buf *out, tc_str bytes, tc_error *err) {
  tc_buf packed = TC_BUF_EMPTY;
  if (bytes.len > INT_MAX) return tc_error_set(err, TC_ERR_INVALID, "too long to be compressed");
  int status = deflate_all(&packed, bytes);
  if (packed.len + 1 < bytes.len) {
    tc_buf_add_char(out, '.');
    bytes = tc_buf_str(&packed);
  }
  if (status == 0) tc_base64url_encode(out, bytes);
  tc_buf_free(&packed);
  return status < 0 ? tc_error_set(err, status, NULL) : 0;
}

static int inflate_all(z_stream *stream, tc_buf *out, size_t most) {
  size_t room = 4 * (size_t)stream->avail_in + LEAST_ROOM;
  if (room > most - out->len) room = most - out->len + 1;
  for (;;) {
    char *to = tc_buf_reserve(out, room);
    if (to == NULL) return TC_ERR_NOMEM;
    stream->next_out = (Bytef *)to;
    stream->avail_out = (uInt)room;
    int status = inflate(stream, Z_FINISH); /* needs no window where the room is enough */
    out->len += room - stream->avail_out;
    if (out->len > most) return TC_UNPACK_TOO_LONG;
    if (status == Z_STREAM_END) return stream->avail_in == 0 ? 0 : TC_UNPACK_DAMAGED;
    if (status == Z_MEM_ERROR) return TC_ERR_NOMEM;
    if (status != Z_OK && status != Z_BUF_ERROR) return TC_UNPACK_DAMAGED;
    if (stream->avail_out > 0) return TC_UNPACK_TRUNCATED;
  }
}

static int inflate_text(tc_buf *out, tc_str text, size_t most) {
  tc_buf packed = TC_BUF_EMPTY;
  z_stream stream = {0};
  int status = TC_UNPACK_NO_BASE64URL;
  if (tc_base64url_decode(&packed, text)) {
    stream.next_in = (Bytef *)packed.data;
    stream.avail_in = (uInt)packed.len;
    status = packed.failed || inflateInit(&stream) != Z_OK ? TC_ERR_NOMEM
                                                           : inflate_all(&stream, out, most);
    (void)inflateEnd(&stream);
  }
  tc_buf_free(&packed);
  return status;
}

int tc_unpack(tc_buf *out, tc_str text, size_t most, tc_error *err) {
  int status = 0;
  if (text.len > INT_MAX / 4) return TC_UNPACK_TOO_LONG;
  most += out->len;
  if (text.len > 0 && text.data[0] == '.') {
    status = inflate_text(out, (tc_str){text.data + 1, text.len - 1}, most);
  } else if (!tc_base64url_decode(out, text)) {
    status = TC_UNPACK_NO_BASE64URL;
  } else if (out->failed) {
    status = TC_ERR_NOMEM;
  } else if (out->len > most) {
    status = TC_UNPACK_TOO_LONG;
  }
  return status < 0 ? tc_error_set(err, status, NULL) : status;
}
