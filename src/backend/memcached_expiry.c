#include "backend/memcached_expiry.h"

#include <math.h>
#include <stdint.h>

#include "backend/memcached.h"

#define LONGEST_IN_SECONDS (60 * 60 * 24 * 30)
#define LONG_AGO (LONGEST_IN_SECONDS + 1) /* a date in 1970; the binary protocol has no -1 */

time_t tc_memcached_expiry(double ttl, time_t now) {
  if (ttl == TC_MEMCACHED_FOR_EVER) return 0;
  if (!(ttl > 0)) return LONG_AGO;
  ttl = ceil(ttl);
  if (ttl <= LONGEST_IN_SECONDS) return (time_t)ttl;
  return ttl > (double)INT32_MAX - (double)now ? 0 : now + (time_t)ttl;
}
