/* The Retry-After header: a number of seconds that can be waited for, or nothing. */
#include <math.h>

#include "core/retry_after.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tc_str text = {(const char *)data, size};
  double long_ago = tc_retry_after_parse(text, 0), late = tc_retry_after_parse(text, 1e12);
  require(isfinite(long_ago) && isfinite(late));
  require((long_ago < 0) == (late < 0)); /* whether it is a date does not depend on the time */
  require(late <= long_ago);
  return 0;
}
