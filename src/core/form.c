#include "core/form.h"

#include "core/hex.h"

static bool is_unreserved(char c) {
  char lower = (char)(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void tc_form_encode(tc_buf *out, tc_str text) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.len; i++) {
    size_t from = i;
    while (i < text.len && is_unreserved(text.data[i])) i++;
    tc_buf_add(out, text.data + from, i - from);
    if (i == text.len) return;
    unsigned char c = (unsigned char)text.data[i];
    if (c == ' ') {
      tc_buf_add_char(out, '+');
    } else {
      const char escape[] = {'%', hex[c >> 4], hex[c & 15]};
      tc_buf_add(out, escape, sizeof escape);
    }
  }
}

int tc_form_decode(tc_buf *out, tc_str text, tc_error *err) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.data[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      int high = i + 2 < text.len ? tc_hex_value(text.data[i + 1]) : -1;
      int low = i + 2 < text.len ? tc_hex_value(text.data[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return tc_error_set(err, TC_ERR_PROTOCOL, "'%%' without two hex digits after it");
      }
      c = (char)(high << 4 | low);
      i += 2;
    }
    tc_buf_add_char(out, c);
  }
  return out->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
}

void tc_form_add(tc_buf *out, tc_str name, tc_str value) {
  if (out->len > 0) tc_buf_add_char(out, '&');
  tc_form_encode(out, name);
  tc_buf_add_char(out, '=');
  tc_form_encode(out, value);
}

static tc_str take_until(tc_str *rest, char delimiter) {
  const char *end = rest->len > 0 ? memchr(rest->data, delimiter, rest->len) : NULL;
  tc_str taken = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
  size_t skip = taken.len + (end != NULL ? 1 : 0);
  *rest = (tc_str){rest->data + skip, rest->len - skip};
  return taken;
}

bool tc_form_next(tc_str *rest, tc_form_pair *pair) {
  while (rest->len > 0) {
    tc_str value = take_until(rest, '&');
    if (value.len == 0) continue;
    size_t whole = value.len;
    pair->name = take_until(&value, '=');
    pair->value = pair->name.len < whole ? value : TC_STR_NONE;
    return true;
  }
  return false;
}
