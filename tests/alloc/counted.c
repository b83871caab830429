#include "counted.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* The sanitizer's own strdup and the like allocate past us and free through us: there the leak
   checker counts instead. It allocates where a thread begins, too, and gives up where that fails:
   there only what the arming thread allocates is refused. */
#ifdef __SANITIZE_ADDRESS__
#define REAL(name) __interceptor_##name
#define COUNTS_BLOCKS 0
#define COUNTS_THREADS 0
#else
#define REAL(name) __libc_##name
#define COUNTS_BLOCKS 1
#define COUNTS_THREADS 1
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void REAL(free)(void *block);

counted allocations;

static bool armed;
static pthread_t arming;
static int paused;          /* how many pauses are within each other */
static long earliest, most; /* where refusals may begin, and how many they are */
static bool (*chooser)(void);

void counted_arm(long first, long run) {
  allocations.seen = allocations.first = allocations.refused = 0;
  earliest = first;
  most = run;
  arming = pthread_self();
  armed = true;
}

void counted_disarm(void) {
  armed = false;
  paused = 0;
}

void counted_choose(bool (*choose)(void)) {
  chooser = choose;
}

void counted_pause(void) {
  paused++;
}

void counted_resume(void) {
  paused--;
}

static bool is_first(void) {
  if (allocations.seen < earliest) return false;
  if (chooser == NULL) return true;
  paused++;
  bool chosen = chooser();
  paused--;
  return chosen;
}

static bool is_refused(void) {
  if (!armed || paused > 0) return false;
  if (!COUNTS_THREADS && !pthread_equal(arming, pthread_self())) return false;
  allocations.seen++;
  if (allocations.first == 0 && is_first()) allocations.first = allocations.seen;
  if (allocations.first == 0 || allocations.refused == most) return false;
  allocations.refused++;
  errno = ENOMEM;
  return true;
}

static void *count(void *block) {
  if (COUNTS_BLOCKS && block != NULL) allocations.live++;
  return block;
}

void *malloc(size_t size) {
  return is_refused() ? NULL : count(REAL(malloc)(size));
}

void *calloc(size_t number, size_t size) {
  return is_refused() ? NULL : count(REAL(calloc)(number, size));
}

void *realloc(void *block, size_t size) {
  if (is_refused()) return NULL;
  return block == NULL ? count(REAL(realloc)(NULL, size)) : REAL(realloc)(block, size);
}

void free(void *block) {
  if (COUNTS_BLOCKS && block != NULL) allocations.live--;
  REAL(free)(block);
}

void *counted_lua_alloc(void *unused, void *block, size_t old_size, size_t new_size) {
  (void)unused;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  if (block != NULL && new_size <= old_size) return REAL(realloc)(block, new_size);
  return realloc(block, new_size);
}
