#include "core/scope.h"

#include <stdlib.h>

static bool is_separator(char c) {
  return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes the next word off `rest`; an empty one when none is left. */
static tc_str next_word(tc_str *rest) {
  size_t i = 0;
  if (rest->len == 0) return TC_STR("");
  while (i < rest->len && is_separator(rest->data[i])) i++;
  size_t start = i;
  while (i < rest->len && !is_separator(rest->data[i])) i++;
  tc_str word = {rest->data + start, i - start};
  *rest = (tc_str){rest->data + i, rest->len - i};
  return word;
}

static int compare(const void *a, const void *b) {
  return tc_str_compare(*(const tc_str *)a, *(const tc_str *)b);
}

static bool is_scope_char(char c) {
  return c > ' ' && c < 0x7F && c != '"' && c != '\\';
}

int tc_scope_normalize(tc_buf *out, tc_str text, tc_error *err) {
  size_t count = 0;
  tc_str rest = text;
  for (tc_str word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
    for (size_t i = 0; i < word.len; i++) {
      if (!is_scope_char(word.data[i])) {
        return tc_error_set(err, TC_ERR_INVALID,
                            "a scope may hold printable ASCII without '\"' and '\\' only");
      }
    }
    count++;
  }
  if (count == 0) return 0;
  tc_str *words = malloc(count * sizeof *words);
  if (words == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  rest = text;
  for (size_t i = 0; i < count; i++) words[i] = next_word(&rest);
  qsort(words, count, sizeof *words, compare);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && tc_str_equal(words[i], words[i - 1])) continue;
    if (i > 0) tc_buf_add_char(out, ' ');
    tc_buf_add_str(out, words[i]);
  }
  free(words);
  return out->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
}

static bool contains(tc_str granted, tc_str wanted) {
  for (tc_str word = next_word(&granted); word.len > 0; word = next_word(&granted)) {
    if (tc_str_equal(word, wanted)) return true;
  }
  return false;
}

bool tc_scope_is_subset(tc_str wanted, tc_str granted) {
  if (tc_str_equal(wanted, granted)) return true;
  for (tc_str word = next_word(&wanted); word.len > 0; word = next_word(&wanted)) {
    if (!contains(granted, word)) return false;
  }
  return true;
}
