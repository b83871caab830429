#include "core/error.h"
#include "core/utf8.h"
#include "test.h"

static void test_every_number_has_its_kind_and_text(void) {
#define X(name, value, kind_name, text)                                                            \
  {                                                                                                \
    tc_error err = TC_ERROR_NONE;                                                                  \
    CHECK_NUM(tc_error_set(&err, TC_ERR_##name, NULL), value);                                     \
    CHECK_NUM(err.number, value);                                                                  \
    CHECK_NUM(err.kind, TC_KIND_##kind_name);                                                      \
    CHECK_TEXT(err.message, text);                                                                 \
  }
  TC_ERRORS(X)
#undef X
}

static void test_kinds_are_found_by_their_names(void) {
#define X(name, text)                                                                              \
  {                                                                                                \
    tc_kind kind = TC_KIND_##name == TC_KIND_STATE ? TC_KIND_CACHE : TC_KIND_STATE;                \
    tc_kind_find(text, &kind);                                                                     \
    CHECK_NUM(kind, TC_KIND_##name);                                                               \
    CHECK_TEXT(tc_kind_name(TC_KIND_##name), text);                                                \
  }
  TC_KINDS(X)
#undef X
  tc_kind kind = TC_KIND_DENIED;
  tc_kind_find("no such kind", &kind);
  CHECK_NUM(kind, TC_KIND_DENIED);
}

static void test_set_leaves_what_the_server_said(void) {
  tc_error err = {.status = 503, .retry_after = 7, .code = "c", .description = "d"};
  (void)tc_error_set(&err, TC_ERR_CONFIG, "%s: no; %s", "scope", "mend it");
  CHECK_TEXT(err.message, "scope: no; mend it");
  CHECK(err.status == 503 && err.retry_after == 7 && err.code[0] == 'c' && err.description[0]);
}

static bool is_utf8(const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    size_t len = tc_utf8_length((const unsigned char *)text, left);
    if (len == 0) return false;
    text += len;
    left -= len;
  }
  return true;
}

/* Two-, three- and four-byte characters meet the end of the room at every offset. */
static void test_a_long_message_is_cut_between_characters(void) {
  static const char *const characters[] = {"\303\251", "\342\202\254", "\360\237\230\200"};
  char text[1024];
  for (size_t i = 0; i < 3; i++) {
    for (size_t offset = 0; offset < 4; offset++) {
      tc_error err = TC_ERROR_NONE;
      size_t len = offset;
      memset(text, 'x', offset);
      while (len < 600) {
        memcpy(text + len, characters[i], strlen(characters[i]));
        len += strlen(characters[i]);
      }
      text[len] = '\0';
      (void)tc_error_set(&err, TC_ERR_CONFIG, "%s", text);
      CHECK(is_utf8(err.message));
      CHECK(strlen(err.message) > sizeof err.message - 5);
      CHECK(strncmp(err.message, text, strlen(err.message)) == 0);
    }
  }
}

static void test_a_message_that_just_fits_is_whole(void) {
  tc_error err = TC_ERROR_NONE;
  char text[sizeof err.message];
  memset(text, 'x', sizeof text - 3);
  memcpy(text + sizeof text - 3, "\303\251", 3);
  (void)tc_error_set(&err, TC_ERR_CONFIG, "%s", text);
  CHECK_TEXT(err.message, text);
}

static void check_foreign(tc_str from, const char *want) {
  char to[16];
  memset(to, 'X', sizeof to);
  tc_error_copy_foreign(to, sizeof to, from);
  CHECK_TEXT(to, want);
}

static void test_foreign_text_is_made_printable(void) {
  check_foreign(TC_STR("plain caf\303\251"), "plain caf\303\251");
  check_foreign(TC_STR("a\r\nb\tc\0d\177"), "a??b?c?d?");
  check_foreign(TC_STR("\033[31mred"), "?[31mred");
  check_foreign(TC_STR("c1 \302\233x"), "c1 ?x");
  check_foreign(TC_STR("\302\240"), "\302\240");
  check_foreign(TC_STR_NONE, "");
}

static void test_broken_utf8_is_replaced(void) {
  check_foreign(TC_STR("a\377b"), "a?b");
  check_foreign(TC_STR("\300\257"), "??");           /* overlong '/' */
  check_foreign(TC_STR("\355\240\200"), "???");      /* a surrogate */
  check_foreign(TC_STR("\364\220\200\200"), "????"); /* beyond U+10FFFF */
  check_foreign(TC_STR("\342\202"), "??");           /* cut */
}

static void test_foreign_text_is_cut_between_characters(void) {
  check_foreign(TC_STR("0123456789abcde"), "0123456789abcde");
  check_foreign(TC_STR("0123456789abcdef"), "0123456789abcde");
  check_foreign(TC_STR("0123456789abcd\303\251"), "0123456789abcd");
  check_foreign(TC_STR("0123456789abc\303\251"), "0123456789abc\303\251");
}

int main(void) {
  RUN(test_every_number_has_its_kind_and_text);
  RUN(test_kinds_are_found_by_their_names);
  RUN(test_set_leaves_what_the_server_said);
  RUN(test_a_long_message_is_cut_between_characters);
  RUN(test_a_message_that_just_fits_is_whole);
  RUN(test_foreign_text_is_made_printable);
  RUN(test_broken_utf8_is_replaced);
  RUN(test_foreign_text_is_cut_between_characters);
  return done();
}
