/* Fails the i-th allocation, for every i, while a Lua script runs: it may raise "not enough memory"
   or return nil and an error, but must not crash, leak, or keep a descriptor or a temporary file,
   and works again as soon as there is memory. What asks again from the same place, places.h, is
   left alone.

   Usage: alloc BUILD SCENARIO            -- alloc build/luajit tests/alloc/scenario.lua
          alloc BUILD SCENARIO FIRST RUN  -- just once: RUN allocations from FIRST on fail

   The script returns two functions. `run` is what may fail; it raises "WRONG: ..." where memory is
   no excuse. `verify` is called with memory to spare and must succeed. A third value "anew" asks
   for a new Lua state for each attempt; others share one, as to load modules takes longer than to
   try them. */
#include <dirent.h>
#include <dlfcn.h>
#include <glob.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counted.h"
#include "modules.h"
#include "places.h"

#define FAILURES_SHOWN 10
#define SCENARIO_RESULTS 3
#define TIMES 2      /* what a loop has from its first turn may be lost in its second */
#define BATCH_MAX 50 /* attempts in one Lua state */
#define LEAKS 3      /* times that a batch must leak again */

#if LUA_VERSION_NUM >= 505
#define lua_newstate(allocate, data) lua_newstate(allocate, data, 1) /* a seed, always the same */
#endif

static const char *build, *scenario;
static char directory[64]; /* of the scenario */
static long failed_at;
static int complaints;

/* The attempts since the last look for leaks. */
static struct batch {
  lua_State *L; /* NULL: none is open */
  long failed[BATCH_MAX];
  int attempts;
  long live; /* blocks before them, */
  int open;  /* and descriptors */
} batch;

static void complain(const char *what, const char *detail) {
  if (complaints++ < FAILURES_SHOWN) printf("# allocation %ld: %s%s\n", failed_at, what, detail);
}

#ifndef __SANITIZE_ADDRESS__
static void on_crash(int signal_number) {
  printf("not ok 0 - crashed by signal %d at allocation %ld\n", signal_number, allocations.first);
  fflush(stdout);
  _exit(2);
}
#endif

static int count_entries(const char *path) {
  int entries = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) return -1;
  while (readdir(dir) != NULL) entries++;
  closedir(dir);
  return entries - 2;
}

/* In memory, where there is such a place: tens of thousands of fsyncs take minutes on a disk. */
static bool make_directory(const char *parent) {
  snprintf(directory, sizeof(directory), "%s/tokencache-alloc-XXXXXX", parent);
  return mkdtemp(directory) != NULL;
}

static void remove_directory(void) {
  char command[96];
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  if (system(command) != 0) printf("# %s: failed\n", command);
}

static void remove_files(void) {
  DIR *dir = opendir(directory);
  for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
  }
  if (dir != NULL) closedir(dir);
}

/* Where the loader, the file system's search or the parser had no memory, that is Lua's message. */
static bool is_memory_error(const char *message) {
  static const char *const texts[] = {"not enough memory", "annot allocate memory",
                                      "out of memory",     "cannot open",
                                      "not found:",        "stack overflow"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
    if (message != NULL && strstr(message, texts[i]) != NULL) return true;
  }
  return false;
}

/* with_memory(function, ...): for what is no part of the trial */
static int l_with_memory(lua_State *L) {
  places_pause(L);
  counted_pause();
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  counted_resume();
  places_resume(L);
  return lua_gettop(L);
}

/* Runs the code, then the file, whose `results` it leaves on the stack. */
static void run_file(lua_State *L, const char *code, const char *path, int results) {
  if (luaL_loadstring(L, code) != 0 || lua_pcall(L, 0, 0, 0) != 0 || luaL_loadfile(L, path) != 0 ||
      lua_pcall(L, 0, results, 0) != 0) {
    printf("# %s\n", lua_tostring(L, -1));
    remove_directory();
    exit(2);
  }
}

/* Leaves `run` and `verify` on the stack. */
static lua_State *prepare(void) {
  lua_State *L = lua_newstate(counted_lua_alloc, NULL);
  char paths[PATH_MAX + 256];
  luaL_openlibs(L);
  lua_pushcfunction(L, l_with_memory);
  lua_setglobal(L, "with_memory");
  lua_pushcfunction(L, modules_search);
  lua_setglobal(L, "search");
  snprintf(paths, sizeof(paths),
           "local searchers = package.searchers or package.loaders "
           "searchers[2] = search package.cpath = '%s/?.so' directory = '%s'",
           build, directory);
  run_file(L, paths, scenario, SCENARIO_RESULTS);
  return L;
}

/* Runs the scenario once. From the first allocation on whose place was refused less than `times`,
   `run` are refused; 0: from the first. Returns the number of that; 0: none had to. */
static long attempt(long first, long run, int times) {
  if (batch.L == NULL) batch.L = prepare();
  lua_State *L = batch.L;
  lua_pushvalue(L, 1);
  if (times > 0) places_begin(L, times);
  counted_arm(first, run);
  int status = lua_pcall(L, 0, 0, 0);
  counted_disarm();
  if (times > 0) places_end(L);
  failed_at = allocations.first;
  bool refused = allocations.refused > 0;
  const char *message = status != 0 ? lua_tostring(L, -1) : NULL;
  if (status != 0 && (!refused || (status != LUA_ERRMEM && !is_memory_error(message)))) {
    complain("run: ", message != NULL ? message : "an error that is no string");
  }
  lua_settop(L, SCENARIO_RESULTS);
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 0, 0, 0) != 0) {
    message = lua_tostring(L, -1);
    complain("verify: ", message != NULL ? message : "an error that is no string");
  }
  lua_settop(L, SCENARIO_RESULTS);
  return failed_at;
}

static void close_state(void) {
  if (batch.L != NULL) lua_close(batch.L);
  batch.L = NULL;
}

static void begin_batch(void) {
  batch.attempts = 0;
  batch.live = allocations.live;
  batch.open = count_entries("/proc/self/fd");
}

static void end_batch(long run) {
  close_state();
  /* libcrypto keeps the texts of its errors for others; what leaks does so each time */
  for (int turn = 0; turn < LEAKS && allocations.live > batch.live; turn++) {
    batch.live = allocations.live;
    for (int i = 0; i < batch.attempts; i++) attempt(batch.failed[i], run, 0);
    close_state();
  }
  if (allocations.live > batch.live) {
    char count[64];
    snprintf(count, sizeof(count), "%ld, since allocation %ld", allocations.live - batch.live,
             batch.failed[0]);
    complain("blocks leaked: ", count);
  }
  if (count_entries("/proc/self/fd") != batch.open) complain("a descriptor leaked", "");
  if (count_entries(directory) > 2) complain("a temporary file is left", ""); /* cache and lock */
  remove_files();
  begin_batch();
}

/* Returns the number of the allocation that failed; 0: none had to. */
static long check_one(long first, long run, int times) {
  long failed = attempt(first, run, times);
  batch.failed[batch.attempts++] = failed != 0 ? failed : LONG_MAX;
  bool is_last = failed == 0 || batch.attempts == BATCH_MAX;
  if (is_last || times < TIMES || lua_isstring(batch.L, SCENARIO_RESULTS)) end_batch(run);
  return failed;
}

/* Fails one allocation after the other, from the first to the last. Returns how many. */
static long sweep(long run, int times) {
  long count = 0;
  for (long failed = 0; (failed = check_one(failed + 1, run, times)) != 0;) count++;
  return count;
}

static void check_every_allocation(int number, const char *name, long run) {
  complaints = 0;
  places_forget();
  begin_batch();
  long tried = sweep(run, TIMES), wanted = allocations.seen, left = 0;
  for (long more; (more = sweep(run, 1)) > 0;) {
    left += more; /* what was in one run, or in the first of a Lua state, and in no other */
    if (left > wanted) {
      complain("each run asks from other places", "");
      break;
    }
  }
  printf("%sok %d - %s, %ld and %ld of %ld\n", complaints > 0 ? "not " : "", number, name, tried,
         left, wanted);
  fflush(stdout);
}

/* A module that stays loaded costs no time, and none of the loader's allocations, in each run. */
static void keep_modules_loaded(void) {
  char pattern[PATH_MAX];
  glob_t found;
  snprintf(pattern, sizeof(pattern), "%s/tokencache/*.so", build);
  if (glob(pattern, 0, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++) dlopen(found.gl_pathv[i], RTLD_NOW);
  globfree(&found);
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 5) {
    fprintf(stderr, "usage: alloc BUILD SCENARIO [FIRST RUN]\n");
    return 2;
  }
  build = argv[1];
  scenario = argv[2];
  if (!make_directory("/dev/shm") && !make_directory("/tmp")) return 2;
#ifndef __SANITIZE_ADDRESS__
  signal(SIGSEGV, on_crash);
  signal(SIGABRT, on_crash);
#endif
  if (dlsym(RTLD_DEFAULT, "malloc") != (void *)(uintptr_t)malloc) {
    fprintf(stderr, "the modules would not use this program's malloc\n");
    return 2;
  }
  keep_modules_loaded();
  attempt(LONG_MAX, 1, 0); /* what libc allocates once and keeps */
  close_state();
  remove_files();
  int failures = 0;
  if (argc == 5) {
    attempt(atol(argv[3]), atol(argv[4]), 0);
    close_state();
    remove_directory();
    return complaints > 0;
  }
  printf("1..3\n");
  check_every_allocation(1, "one allocation fails", 1);
  failures += complaints > 0;
  check_every_allocation(2, "one allocation and Lua's second try fail", 2);
  failures += complaints > 0;
  check_every_allocation(3, "no allocation succeeds any more", LONG_MAX);
  failures += complaints > 0;
  remove_directory();
  return failures > 0;
}
