#include "backend/filelock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define THREADS 4
#define FORKS 200

static char directory[] = "/tmp/tokencache-filelock-XXXXXX";
static atomic_bool stop;
static atomic_int inside, collisions, turns;

static void shared_path(char *path, size_t size) {
  (void)snprintf(path, size, "%s/shared", directory);
}

/* Takes turns with the other threads on one path. */
static void *compete(void *unused) {
  char path[64];
  tc_error err = TC_ERROR_NONE;
  shared_path(path, sizeof path);
  while (!stop) {
    uint64_t id = tc_filelock_reserve();
    if (tc_filelock_try(id, path, TC_STR_NONE, false, &err) != 0) continue;
    if (atomic_fetch_add(&inside, 1) != 0) collisions++;
    turns++;
    (void)atomic_fetch_sub(&inside, 1);
    tc_filelock_release(id);
  }
  return unused;
}

/* In a child of a process whose threads were at it: works, and holds nothing of the parent's. */
static int works(int number) {
  char path[64];
  tc_error err = TC_ERROR_NONE;
  (void)snprintf(path, sizeof path, "%s/own%d", directory, number);
  uint64_t id = tc_filelock_reserve();
  if (id == 0 || tc_filelock_try(id, path, TC_STR_NONE, false, &err) != 0) return 1;
  tc_filelock_release(id);
  return 0;
}

static void test_threads_and_forks(void) {
  pthread_t threads[THREADS];
  int failed = 0;
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, compete, NULL) == 0);
  for (int i = 0; i < FORKS; i++) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) _exit(works(i % 2));
    if (waitpid(pid, &status, 0) != pid || status != 0) failed++;
  }
  stop = true;
  for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
  CHECK(failed == 0);
  CHECK(collisions == 0);
  CHECK(turns > 0);
}

#define TAKEN_HERE (TC_FILELOCK_TAKEN | TC_FILELOCK_HERE)

static void test_many_at_once(void) {
  enum { MANY = 1000 };
  static uint64_t ids[MANY];
  tc_error err = TC_ERROR_NONE;
  char path[64];
  shared_path(path, sizeof path);
  for (int i = 0; i < MANY; i++) ids[i] = tc_filelock_reserve();
  CHECK(tc_filelock_try(ids[MANY / 2], path, TC_STR_NONE, false, &err) == 0);
  CHECK(tc_filelock_try(ids[MANY / 2], path, TC_STR_NONE, false, &err) == TAKEN_HERE);
  CHECK(tc_filelock_try(ids[0], path, TC_STR_NONE, false, &err) == TAKEN_HERE);
  for (int i = 0; i < MANY; i++) {
    if (i != MANY / 2) tc_filelock_release(ids[i]);
  }
  uint64_t other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, path, TC_STR_NONE, false, &err) == TAKEN_HERE);
  CHECK(tc_filelock_try(other, path, TC_STR_NONE, false, &err) ==
        TAKEN_HERE); /* its end has come */
  tc_filelock_release(ids[MANY / 2]);
  other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, path, TC_STR_NONE, false, &err) == 0);
  tc_filelock_release(other);
  tc_filelock_release(other);
}

/* Many parts of one directory are locked at once, on one file, and none is another's. */
static void test_parts(void) {
  enum { MANY = 300 };
  tc_error err = TC_ERROR_NONE;
  char name[32];
  uint64_t ids[MANY];
  for (int i = 0; i < MANY; i++) {
    (void)snprintf(name, sizeof name, "%d.token", i);
    ids[i] = tc_filelock_reserve();
    CHECK(tc_filelock_try(ids[i], directory, tc_str_of(name), false, &err) == 0);
  }
  uint64_t other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, directory, TC_STR("7.token"), false, &err) == TAKEN_HERE);
  tc_filelock_keep(other); /* its end has come: this means nothing */
  tc_filelock_keep(ids[7]);
  other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, directory, TC_STR("7.token"), false, &err) ==
        (TAKEN_HERE | TC_FILELOCK_OWED));
  other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, directory, TC_STR("8.token"), false, &err) == TAKEN_HERE);
  tc_filelock_release(ids[7]);
  CHECK(!tc_filelock_is_held(ids[7]));
  CHECK(tc_filelock_is_held(ids[8]));
  other = tc_filelock_reserve();
  CHECK(tc_filelock_try(other, directory, TC_STR("7.token"), false, &err) == 0);
  tc_filelock_release(other);
  for (int i = 0; i < MANY; i++) tc_filelock_release(ids[i]);
}

static void test_names(void) {
  CHECK(tc_filelock_is_side("token.tokencache-lock"));
  CHECK(tc_filelock_is_side(".tokencache-lock"));
  CHECK(!tc_filelock_is_side("token.tokencache-lock2"));
  CHECK(!tc_filelock_is_side("lock"));
}

static void remove_directory(void) {
  static const char *const names[] = {"shared", "own0", "own1", ""};
  char path[64];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    (void)snprintf(path, sizeof path, "%s/%s.tokencache-lock", directory, names[i]);
    (void)unlink(path);
  }
  (void)rmdir(directory);
}

int main(void) {
  if (mkdtemp(directory) == NULL) return 2;
  RUN(test_many_at_once);
  RUN(test_threads_and_forks);
  RUN(test_parts);
  RUN(test_names);
  remove_directory();
  return done();
}
