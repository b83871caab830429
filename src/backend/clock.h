/* Deadlines are kept by a clock that nobody sets. */
#pragma once

#include <time.h>

/* Seconds from some fixed point. */
static inline double tc_monotonic(void) {
  struct timespec t = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The same, a few milliseconds late, at a sixth of the cost. */
static inline double tc_monotonic_coarse(void) {
#ifdef CLOCK_MONOTONIC_COARSE
  struct timespec t = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
#else
  return tc_monotonic();
#endif
}

/* Unix seconds. */
static inline double tc_unix_time(void) {
  struct timespec t = {0, 0};
  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
