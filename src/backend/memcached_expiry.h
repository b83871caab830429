/* Memcached's exptime: 0 is for ever, up to 30 days are seconds from now, anything above is a date
   in Unix seconds, and dates end where 32 bits do. */
#pragma once

#include <time.h>

/* `ttl` as in tc_memcached_set. A date that memcached cannot hold becomes "for ever". */
time_t tc_memcached_expiry(double ttl, time_t now);
