#include "places.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"

#define PLACES 65536 /* of which a scenario has some hundreds */
#define CALLS 4093   /* a prime number: it takes all bits to tell calls apart */
#define FRAMES_MAX 200

static struct place {
  uint64_t hash; /* 0: it is free */
  int times;
} places[PLACES];

/* What led to a call of a Lua function, and to the line where that is now. */
static struct call {
  uint64_t began;
  uint64_t here;
} calls[CALLS];

static uint64_t lua_lines; /* that led to where Lua is now */
static int most_times;
static bool is_chosen;
static pthread_t runner;
static int below; /* frames on its stack that are no part of a place */

static uint64_t mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * 0x100000001b3; /* FNV-1a's prime */
}

/* The level, which is there, in the calls of a thread: that has an address, or on Lua 5.1 and
   LuaJIT an index, above which LuaJIT has the size, which is not that of a level below. */
static struct call *call_of(lua_State *L, const lua_Debug *frame) {
#if LUA_VERSION_NUM == 501
  return &calls[mix((uintptr_t)L, (uintptr_t)frame->i_ci & 0xffff) % CALLS];
#else
  return &calls[mix((uintptr_t)L, (uintptr_t)frame->i_ci) % CALLS];
#endif
}

/* Allocations cannot look by themselves: Lua may be moving its stack just then. */
static void on_event(lua_State *L, lua_Debug *event) {
  lua_Debug frame, above;
  if (is_chosen || lua_getstack(L, 0, &frame) == 0) return;
  struct call *call = call_of(L, &frame);
  if (event->event == LUA_HOOKLINE) {
    lua_lines = call->here = mix(call->began, (uint64_t)event->currentline);
    return;
  }
  lua_lines = lua_getstack(L, 1, &above) != 0 ? call_of(L, &above)->here : 0;
  if (event->event == LUA_HOOKRET) return;
  lua_getinfo(L, "S", &frame);
  for (const char *c = frame.short_src; *c != '\0'; c++) lua_lines = mix(lua_lines, (uint64_t)*c);
  lua_lines = call->began = call->here = mix(lua_lines, (uint64_t)frame.linedefined);
}

static struct place *find(uint64_t hash) {
  for (size_t i = 0; i < PLACES; i++) {
    struct place *place = &places[(hash + i) % PLACES];
    if (place->hash == hash || place->hash == 0) return place;
  }
  fprintf(stderr, "more places than %d\n", PLACES);
  abort();
}

static bool choose(void) {
  void *frames[FRAMES_MAX];
  int depth = backtrace(frames, FRAMES_MAX);
  uint64_t hash = 0;
  if (pthread_equal(runner, pthread_self())) {
    hash = lua_lines;
    depth -= below;
  }
  for (int i = 0; i < depth; i++) hash = mix(hash, (uintptr_t)frames[i]);
  struct place *place = find(hash | 1);
  if (place->times >= most_times) return false;
  place->hash = hash | 1;
  place->times++;
  is_chosen = true;
  return true;
}

void places_forget(void) {
  memset(places, 0, sizeof(places));
}

void places_pause(lua_State *L) {
  if (most_times > 0) lua_sethook(L, NULL, 0, 0);
}

void places_resume(lua_State *L) { /* coroutines that begin then have the hook, too */
  if (most_times > 0) lua_sethook(L, on_event, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE, 0);
}

void places_begin(lua_State *L, int times) {
  void *frames[FRAMES_MAX];
  below = backtrace(frames, FRAMES_MAX) - 1; /* which also loads what it needs */
  memset(calls, 0, sizeof(calls));
  lua_lines = 0;
  is_chosen = false;
  most_times = times;
  runner = pthread_self();
  places_resume(L);
  counted_choose(choose);
}

void places_end(lua_State *L) {
  counted_choose(NULL);
  most_times = 0;
  lua_sethook(L, NULL, 0, 0);
}
