/* Fails the i-th allocation, for every i, while a Lua script runs: it may raise "not enough memory"
   or return nil and an error, but must not crash, leak, or keep a descriptor or a temporary file,
   and works again as soon as there is memory. What asks again from the same place, places.h, is
   left alone.

   Usage: alloc BUILD SCENARIO            -- alloc build/luajit tests/alloc/scenario.lua
          alloc BUILD SCENARIO FIRST RUN  -- just once: RUN allocations from FIRST on fail

   The script returns two functions. `run` is what may fail; it raises "WRONG: ..." where memory is
   no excuse. `verify` is called with memory to spare and must succeed. */
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
#define TIMES 2 /* what a loop has from its first turn may be lost in its second */

#if LUA_VERSION_NUM >= 505
#define lua_newstate(allocate, data) lua_newstate(allocate, data, 1) /* a seed, always the same */
#endif

static const char *build, *scenario;
static char directory[64]; /* of the scenario */
static long failed_at;
static int complaints;

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
  counted_pause();
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  counted_resume();
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
  run_file(L, paths, scenario, 2);
  return L;
}

/* Runs the scenario once. From the first allocation on whose place was refused less than `times`,
   `run` are refused; 0: from the first. */
static void attempt(long first, long run, int times) {
  lua_State *L = prepare();
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
  lua_settop(L, 2);
  if (lua_pcall(L, 0, 0, 0) != 0) {
    message = lua_tostring(L, -1);
    complain("verify: ", message != NULL ? message : "an error that is no string");
  }
  lua_close(L);
}

/* Returns the number of the allocation that failed; 0: none had to. */
static long check_one(long first, long run, int times) {
  long live = allocations.live;
  int open = count_entries("/proc/self/fd");
  attempt(first, run, times);
  long failed = allocations.first;
  if (allocations.live > live) { /* libcrypto keeps the texts of its errors for the next ones */
    live = allocations.live;
    attempt(failed != 0 ? failed : LONG_MAX, run, 0);
  }
  if (allocations.live > live) {
    char count[64];
    snprintf(count, sizeof(count), "%ld", allocations.live - live);
    complain("blocks leaked: ", count);
  }
  if (count_entries("/proc/self/fd") != open) complain("a descriptor leaked", "");
  if (count_entries(directory) > 2) complain("a temporary file is left", ""); /* cache and lock */
  remove_files();
  return failed;
}

static void check_every_allocation(int number, const char *name, long run) {
  long tried = 0, left = 0, wanted = 0, failed = 0;
  complaints = 0;
  places_forget();
  for (int times = TIMES; times > 0;) { /* a place has the C functions here in it, too */
    failed = check_one(times == TIMES ? failed + 1 : 1, run, times);
    if (failed == 0) {
      times = times == TIMES ? 1 : 0; /* what was in one run, and in no other */
      wanted = allocations.seen;
    } else if (times == TIMES) {
      tried++;
    } else if (++left > wanted) {
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
  remove_files();
  int failures = 0;
  if (argc == 5) {
    attempt(atol(argv[3]), atol(argv[4]), 0);
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
