/* Deadlines are kept by a clock that nobody sets. */
#pragma once

#include <time.h>

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif
#ifndef CLOCK_REALTIME_COARSE
#define CLOCK_REALTIME_COARSE CLOCK_REALTIME
#endif

static inline double tc_time_by(clockid_t clock) {
  struct timespec t = {0, 0};
  (void)clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds from some fixed point. */
static inline double tc_monotonic(void) {
  return tc_time_by(CLOCK_MONOTONIC);
}

/* The same, a few milliseconds late, at a sixth of the cost. */
static inline double tc_monotonic_coarse(void) {
  return tc_time_by(CLOCK_MONOTONIC_COARSE);
}

/* Unix seconds, a few milliseconds late, as time() and the times of files are. */
static inline double tc_unix_time(void) {
  return tc_time_by(CLOCK_REALTIME_COARSE);
}
