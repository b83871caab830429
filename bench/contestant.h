/* What contestant.lua is, for contestants in C. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double contestant_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void contestant_check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void contestant_run(void (*work)(long times)) {
  long times;
  while (scanf("%ld", &times) == 1) {
    work((times + 9) / 10);
    double start = contestant_clock();
    work(times);
    printf("%.9f\n", contestant_clock() - start);
    fflush(stdout);
  }
}

#endif
