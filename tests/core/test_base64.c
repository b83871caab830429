#include "core/base64.h"
#include "test.h"

static void check_both_ways(tc_str bytes, tc_str text) {
  tc_buf out = TC_BUF_EMPTY;
  tc_base64url_encode(&out, bytes);
  CHECK_STR(tc_buf_str(&out), text);
  tc_buf_clear(&out);
  CHECK(tc_base64url_decode(&out, text));
  CHECK_STR(tc_buf_str(&out), bytes);
  tc_buf_free(&out);
}

static bool decodes(tc_str text) {
  tc_buf out = TC_BUF_EMPTY;
  bool done = tc_base64url_decode(&out, text);
  tc_buf_free(&out);
  return done;
}

/* RFC 4648 §10, without the padding */
static void test_vectors(void) {
  check_both_ways(TC_STR(""), TC_STR(""));
  check_both_ways(TC_STR("f"), TC_STR("Zg"));
  check_both_ways(TC_STR("fo"), TC_STR("Zm8"));
  check_both_ways(TC_STR("foo"), TC_STR("Zm9v"));
  check_both_ways(TC_STR("foob"), TC_STR("Zm9vYg"));
  check_both_ways(TC_STR("fooba"), TC_STR("Zm9vYmE"));
  check_both_ways(TC_STR("foobar"), TC_STR("Zm9vYmFy"));
  check_both_ways(TC_STR("\xfb\xff\xbe\0"), TC_STR("-_--AA"));
}

/* RFC 7636 appendix A */
static void test_vector_of_pkce(void) {
  check_both_ways(TC_STR("\x03\xec\xff\xe0\xc1"), TC_STR("A-z_4ME"));
}

static void test_every_byte_comes_back(void) {
  char bytes[256];
  tc_buf text = TC_BUF_EMPTY, back = TC_BUF_EMPTY;
  for (int i = 0; i < 256; i++) bytes[i] = (char)i;
  for (size_t len = 0; len <= sizeof bytes; len++) {
    tc_buf_clear(&text);
    tc_buf_clear(&back);
    tc_base64url_encode(&text, (tc_str){bytes, len});
    CHECK(tc_base64url_decode(&back, tc_buf_str(&text)));
    CHECK_STR(tc_buf_str(&back), ((tc_str){bytes, len}));
  }
  tc_buf_free(&text);
  tc_buf_free(&back);
}

static void test_one_value_has_one_text(void) {
  CHECK(!decodes(TC_STR("Zg==")));
  CHECK(!decodes(TC_STR("Zm8=")));
  CHECK(!decodes(TC_STR("Zh")));  /* stray bits */
  CHECK(!decodes(TC_STR("Zm9"))); /* likewise */
  CHECK(!decodes(TC_STR("Z")));
  CHECK(!decodes(TC_STR("Zm9vY")));
  CHECK(!decodes(TC_STR("Zm9v\n")));
  CHECK(!decodes(TC_STR(" Zm9v")));
  CHECK(!decodes(TC_STR("Zm 9")));
  CHECK(!decodes(TC_STR("+/==")));
  CHECK(!decodes(TC_STR("ab+/")));
  CHECK(!decodes(TC_STR("Zm9\0")));
  CHECK(!decodes(TC_STR("Zm9\xc3")));
}

int main(void) {
  RUN(test_vectors);
  RUN(test_vector_of_pkce);
  RUN(test_every_byte_comes_back);
  RUN(test_one_value_has_one_text);
  return done();
}
