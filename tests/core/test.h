/* The whole of the C test framework: a test is a function, a program prints TAP.

     static void test_adds(void) {
       CHECK(1 + 1 == 2);
     }

     int main(void) {
       RUN(test_adds);
       return done();
     } */
#ifndef TC_TEST_H
#define TC_TEST_H

#include <stdio.h>

#include "core/str.h"

static int test_count, test_failures, failed_checks;

static inline bool test_check(bool ok, const char *file, int line, const char *what) {
  if (!ok) {
    failed_checks++;
    printf("# %s:%d: %s\n", file, line, what);
  }
  return ok;
}

static inline bool test_check_str(tc_str got, tc_str want, const char *file, int line) {
  if (test_check(tc_str_equal(got, want), file, line, "the texts differ")) return true;
  printf("#   got  \"%.*s\"\n#   want \"%.*s\"\n", (int)got.len, got.len > 0 ? got.data : "",
         (int)want.len, want.len > 0 ? want.data : "");
  return false;
}

static inline bool test_check_num(double got, double want, const char *file, int line) {
  if (test_check(got == want, file, line, "the numbers differ")) return true;
  printf("#   got  %.17g\n#   want %.17g\n", got, want);
  return false;
}

static inline void test_run(const char *name, void (*test)(void)) {
  failed_checks = 0;
  test();
  if (failed_checks > 0) test_failures++;
  printf("%sok %d - %s\n", failed_checks > 0 ? "not " : "", ++test_count, name);
  fflush(stdout);
}

static inline int done(void) {
  printf("1..%d\n", test_count);
  return test_failures > 0;
}

/* Each CHECK reports and goes on; its value tells whether it held. */
#define CHECK(condition) test_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_STR(got, want) test_check_str((got), (want), __FILE__, __LINE__)
#define CHECK_TEXT(got, want) test_check_str(tc_str_of(got), tc_str_of(want), __FILE__, __LINE__)
#define CHECK_NUM(got, want) test_check_num((double)(got), (double)(want), __FILE__, __LINE__)

/* For what the rest of the test stands on. */
#define REQUIRE(condition)                                                                         \
  do {                                                                                             \
    if (!CHECK(condition)) return;                                                                 \
  } while (0)

#define RUN(test) test_run(#test, test)

#endif
