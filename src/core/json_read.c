#include "core/json_read.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "core/hex.h"
#include "core/utf8.h"

#define BYTE_ORDER_MARK TC_STR("\xEF\xBB\xBF")
#define REPLACEMENT 0xFFFD /* stands for what is no character */

enum {
  WANT_VALUE, /* a value and nothing else */
  WANT_FIRST, /* the first entry of a container, or its end */
  WANT_NEXT,  /* a comma and an entry, or the container's end; outside of any, the text's end */
  IN_KEY
};

void tc_json_reader_init(tc_json_reader *reader, tc_str text, tc_buf *scratch) {
  *reader = (tc_json_reader){.text = text, .scratch = scratch, .state = WANT_VALUE};
}

void tc_json_tolerate(tc_json_reader *reader) {
  size_t len = BYTE_ORDER_MARK.len;
  reader->tolerant = true;
  if (reader->text.len >= len && memcmp(reader->text.data, BYTE_ORDER_MARK.data, len) == 0) {
    reader->at = len;
  }
}

/* Lines and columns count from 1, columns in characters. */
static int fail_at(const tc_json_reader *r, size_t at, const char *reason, tc_error *err) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at; i++) {
    unsigned char c = (unsigned char)r->text.data[i];
    if (c == '\n') {
      line++;
      column = 1;
    } else if ((c & 0xC0) != 0x80) {
      column++;
    }
  }
  return tc_error_set(err, TC_ERR_PROTOCOL, "not JSON: %s at line %zu column %zu", reason, line,
                      column);
}

int tc_json_refuse(const tc_json_reader *reader, const char *reason, tc_error *err) {
  return fail_at(reader, reader->start, reason, err);
}

static int fail_here(const tc_json_reader *r, const char *reason, tc_error *err) {
  return fail_at(r, r->at, r->at < r->text.len ? reason : "the text ends too early", err);
}

static int fail_unexpected(const tc_json_reader *r, tc_error *err) {
  return fail_here(r, "unexpected character", err);
}

/* The character at hand; 0 at the end, which no rule of the grammar accepts. */
static char peek(const tc_json_reader *r) {
  return r->at < r->text.len ? r->text.data[r->at] : '\0';
}

static bool take(tc_json_reader *r, char wanted) {
  if (r->at == r->text.len || r->text.data[r->at] != wanted) return false;
  r->at++;
  return true;
}

static void skip_space(tc_json_reader *r) {
  char c = peek(r);
  while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
    r->at++;
    c = peek(r);
  }
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool take_hex4(tc_json_reader *r, uint32_t *unit) {
  *unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = tc_hex_value(peek(r));
    if (digit < 0) return false;
    *unit = *unit << 4 | (uint32_t)digit;
    r->at++;
  }
  return true;
}

static void add_utf8(tc_buf *buf, uint32_t c) {
  if (c < 0x80) {
    tc_buf_add_char(buf, (char)c);
    return;
  }
  if (c < 0x800) {
    tc_buf_add_char(buf, (char)(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      tc_buf_add_char(buf, (char)(0xE0 | c >> 12));
    } else {
      tc_buf_add_char(buf, (char)(0xF0 | c >> 18));
      tc_buf_add_char(buf, (char)(0x80 | (c >> 12 & 0x3F)));
    }
    tc_buf_add_char(buf, (char)(0x80 | (c >> 6 & 0x3F)));
  }
  tc_buf_add_char(buf, (char)(0x80 | (c & 0x3F)));
}

/* Where a tolerant reader goes on. */
static int no_character(const tc_json_reader *r, const char *reason, tc_error *err) {
  if (!r->tolerant) return fail_here(r, reason, err);
  add_utf8(r->scratch, REPLACEMENT);
  return 0;
}

static int read_unicode_escape(tc_json_reader *r, tc_error *err) {
  uint32_t c, low;
  if (!take_hex4(r, &c)) return no_character(r, "an invalid escape", err);
  if (c >= 0xD800 && c <= 0xDBFF) {
    size_t first_ends = r->at;
    if (!take(r, '\\') || !take(r, 'u') || !take_hex4(r, &low) || low < 0xDC00 || low > 0xDFFF) {
      int rc = no_character(r, "half a surrogate pair", err);
      r->at = first_ends;
      return rc;
    }
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  } else if (c >= 0xDC00 && c <= 0xDFFF) {
    return no_character(r, "half a surrogate pair", err);
  } else if (c == 0 && r->state == IN_KEY) {
    if (!r->tolerant) return tc_json_refuse(r, "a NUL in a key", err);
    c = REPLACEMENT;
  }
  add_utf8(r->scratch, c);
  return 0;
}

static int read_escape(tc_json_reader *r, tc_error *err) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  r->at++;
  if (take(r, 'u')) return read_unicode_escape(r, err);
  char c = peek(r);
  const char *found = c != '\0' ? strchr(names, c) : NULL;
  if (found == NULL) return no_character(r, "an invalid escape", err);
  tc_buf_add_char(r->scratch, values[found - names]);
  r->at++;
  return 0;
}

static int stop_at(const tc_json_reader *r, const char *reason, tc_error *err) {
  return r->tolerant ? 0 : fail_here(r, reason, err);
}

#define EACH_BYTE(value) (UINT64_MAX / 255 * (value))

/* Reports whether eight bytes are ASCII, and none a quote, a backslash or a control character. */
static bool are_plain(const unsigned char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  uint64_t quotes = word ^ EACH_BYTE('"'), backslashes = word ^ EACH_BYTE('\\'); /* zero there */
  uint64_t found =
      word | (word - EACH_BYTE(0x20)) | (quotes - EACH_BYTE(1)) | (backslashes - EACH_BYTE(1));
  return (found & EACH_BYTE(0x80)) == 0;
}

/* Moves on to the quote, backslash or fault that ends a run of plain characters. */
static int skip_plain(tc_json_reader *r, tc_error *err) {
  const unsigned char *text = (const unsigned char *)r->text.data;
  while (r->at < r->text.len) {
    if (r->text.len - r->at >= 8 && are_plain(text + r->at)) {
      r->at += 8;
      continue;
    }
    unsigned char c = text[r->at];
    if (c == '"' || c == '\\') return 0;
    if (c < 0x20) return stop_at(r, "a control character in a string", err);
    size_t len = c < 0x80 ? 1 : tc_utf8_length(text + r->at, r->text.len - r->at);
    if (len == 0) return stop_at(r, "invalid UTF-8", err);
    r->at += len;
  }
  return fail_unexpected(r, err);
}

static int read_string(tc_json_reader *r, tc_error *err) {
  int rc;
  bool escaped = false;
  r->at++;
  for (;;) {
    size_t run = r->at;
    if ((rc = skip_plain(r, err)) != 0) return rc;
    tc_str plain = {r->text.data + run, r->at - run};
    bool at_end = peek(r) == '"';
    if (at_end && !escaped) {
      r->string = plain;
      break;
    }
    if (!escaped) tc_buf_clear(r->scratch);
    escaped = true;
    tc_buf_add_str(r->scratch, plain);
    if (at_end) {
      r->string = tc_buf_str(r->scratch);
      break;
    }
    if (peek(r) == '\\') {
      if ((rc = read_escape(r, err)) != 0) return rc;
    } else {
      add_utf8(r->scratch, REPLACEMENT);
      r->at++;
    }
  }
  r->at++;
  if (escaped && r->scratch->failed) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  return 0;
}

static int read_key(tc_json_reader *r, tc_error *err) {
  int rc;
  if (peek(r) != '"') return fail_unexpected(r, err);
  r->start = r->at;
  r->state = IN_KEY;
  if ((rc = read_string(r, err)) != 0) return rc;
  skip_space(r);
  if (!take(r, ':')) return fail_unexpected(r, err);
  r->state = WANT_VALUE;
  return 0;
}

/* False where it does not fit. */
static bool read_integer(tc_json_reader *r, tc_str digits) {
  bool negative = digits.data[0] == '-';
  int64_t value = 0; /* counted downwards: INT64_MIN has no positive twin */
  for (size_t i = negative; i < digits.len; i++) {
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_sub_overflow(value, digits.data[i] - '0', &value)) {
      return false;
    }
  }
  if (!negative && __builtin_sub_overflow(0, value, &value)) return false;
  r->integer = value;
  return true;
}

static int read_real(tc_json_reader *r, tc_str digits, tc_error *err) {
  tc_buf_clear(r->scratch);
  tc_buf_add_str(r->scratch, digits);
  if (r->scratch->failed) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  char *point = memchr(r->scratch->data, '.', r->scratch->len);
  if (point != NULL) *point = localeconv()->decimal_point[0]; /* the one strtod goes by */
  errno = 0;
  r->real = strtod(r->scratch->data, NULL);
  bool beyond = isinf(r->real) || (errno == ERANGE && r->real == 0);
  if (beyond && !r->tolerant) return tc_json_refuse(r, "a number beyond a double", err);
  if (isinf(r->real)) r->real = copysign(DBL_MAX, r->real); /* JSON could not store infinity */
  return 0;
}

static bool take_digits(tc_json_reader *r) {
  if (!is_digit(peek(r))) return false;
  while (is_digit(peek(r))) r->at++;
  return true;
}

static int read_number(tc_json_reader *r, tc_json_event *event, tc_error *err) {
  bool integral = true;
  (void)take(r, '-');
  if (!take(r, '0') && !take_digits(r)) return fail_unexpected(r, err);
  if (take(r, '.')) {
    integral = false;
    if (!take_digits(r)) return fail_unexpected(r, err);
  }
  if (take(r, 'e') || take(r, 'E')) {
    integral = false;
    if (!take(r, '+')) (void)take(r, '-');
    if (!take_digits(r)) return fail_unexpected(r, err);
  }
  tc_str digits = {r->text.data + r->start, r->at - r->start};
  *event = TC_JSON_INTEGER;
  if (integral && read_integer(r, digits)) return 0;
  if (integral && !r->tolerant) return tc_json_refuse(r, "an integer beyond 64 bits", err);
  *event = TC_JSON_REAL;
  return read_real(r, digits, err);
}

static int read_word(tc_json_reader *r, tc_str word, tc_error *err) {
  for (size_t i = 0; i < word.len; i++) {
    if (!take(r, word.data[i])) return fail_unexpected(r, err);
  }
  return 0;
}

static int open_container(tc_json_reader *r, bool is_object, tc_error *err) {
  if (r->depth == TC_JSON_MAX_DEPTH) return tc_json_refuse(r, "nested too deeply", err);
  r->at++;
  r->is_object[r->depth++] = is_object;
  r->state = WANT_FIRST;
  return 0;
}

static int read_value(tc_json_reader *r, tc_json_event *event, tc_error *err) {
  r->start = r->at;
  r->state = WANT_NEXT;
  switch (peek(r)) {
  case '{':
    *event = TC_JSON_OBJECT;
    return open_container(r, true, err);
  case '[':
    *event = TC_JSON_ARRAY;
    return open_container(r, false, err);
  case '"':
    *event = TC_JSON_STRING;
    return read_string(r, err);
  case 't':
    *event = TC_JSON_TRUE;
    return read_word(r, TC_STR("true"), err);
  case 'f':
    *event = TC_JSON_FALSE;
    return read_word(r, TC_STR("false"), err);
  case 'n':
    *event = TC_JSON_NULL;
    return read_word(r, TC_STR("null"), err);
  default:
    return read_number(r, event, err);
  }
}

static int read_end(tc_json_reader *r, tc_json_event *event, tc_error *err) {
  if (r->at < r->text.len) return fail_here(r, "more text after the value", err);
  *event = TC_JSON_END;
  return 0;
}

int tc_json_read(tc_json_reader *reader, tc_json_event *event, tc_error *err) {
  tc_json_reader *r = reader;
  skip_space(r);
  if (r->state == WANT_VALUE) return read_value(r, event, err);
  if (r->depth == 0) return read_end(r, event, err);

  bool is_object = r->is_object[r->depth - 1];
  if (take(r, is_object ? '}' : ']')) {
    r->depth--;
    r->state = WANT_NEXT;
    *event = is_object ? TC_JSON_OBJECT_END : TC_JSON_ARRAY_END;
    return 0;
  }
  if (r->state == WANT_NEXT) {
    if (!take(r, ',')) return fail_unexpected(r, err);
    skip_space(r);
  }
  if (!is_object) return read_value(r, event, err);
  *event = TC_JSON_KEY;
  return read_key(r, err);
}
