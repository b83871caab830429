#include "backend/redirect_query.h"
#include "test.h"

static tc_redirect_verdict judge(const char *query) {
  tc_redirect_verdict verdict = TC_REDIRECT_GRANTED;
  tc_error err = TC_ERROR_NONE;
  CHECK(tc_redirect_judge(tc_str_of(query), TC_STR("s t"), &verdict, &err) == 0);
  return verdict;
}

static void test_ours_with_a_grant(void) {
  CHECK(judge("code=1&state=s+t") == TC_REDIRECT_GRANTED);
  CHECK(judge("&&state=s%20t&x&c%6fde=1&") == TC_REDIRECT_GRANTED);
  CHECK(judge("access_token=1&state=s+t") == TC_REDIRECT_GRANTED);
}

static void test_ours_without(void) {
  CHECK(judge("state=s+t") == TC_REDIRECT_REFUSED);
  CHECK(judge("error=access_denied&state=s+t") == TC_REDIRECT_REFUSED);
  CHECK(judge("code=1&error=x&state=s+t") == TC_REDIRECT_REFUSED);
  CHECK(judge("code=1&%65rror&state=s+t") == TC_REDIRECT_REFUSED);
  CHECK(judge("code=%&state=s+t") == TC_REDIRECT_REFUSED);
  CHECK(judge("code=1&%=&state=s+t") == TC_REDIRECT_REFUSED);
}

static void test_foreign(void) {
  CHECK(judge("") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=s") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=s+t%") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=s+t%00") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=s+t&state=s+t") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=s+t&st%61te=x") == TC_REDIRECT_FOREIGN);
  CHECK(judge("code=1&state=x&state=s+t") == TC_REDIRECT_FOREIGN);
}

int main(void) {
  RUN(test_ours_with_a_grant);
  RUN(test_ours_without);
  RUN(test_foreign);
  return done();
}
