#include "places.h"

#include <execinfo.h>
#include <stdint.h>

#include "counted.h"

#define NOTED_MAX 20000 /* what comes after them is no repetition */
#define FRAMES_MAX 200
#define TIMES 2 /* what a loop has from its first turn may be lost in its second */

static uint64_t noted[NOTED_MAX];
static bool is_repeated[NOTED_MAX];
static uint64_t lua_lines;

static uint64_t mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * 0x100000001b3; /* FNV-1a's prime */
}

static void on_line(lua_State *L, lua_Debug *unused) {
  lua_Debug frame;
  (void)unused;
  lua_lines = 0;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    for (const char *c = frame.short_src; *c != '\0'; c++) lua_lines = mix(lua_lines, (uint64_t)*c);
    lua_lines = mix(lua_lines, (uint64_t)frame.currentline);
  }
}

static void note(long number) {
  void *frames[FRAMES_MAX];
  if (number > NOTED_MAX) return;
  int depth = backtrace(frames, FRAMES_MAX);
  uint64_t place = lua_lines;
  for (int i = 0; i < depth; i++) place = mix(place, (uintptr_t)frames[i]);
  noted[number - 1] = place;
  int times = 0;
  for (long i = 0; i < number - 1; i++) times += noted[i] == place;
  is_repeated[number - 1] = times >= TIMES;
}

void places_begin(lua_State *L) {
  void *frame;
  (void)backtrace(&frame, 1);               /* loads what it needs */
  lua_sethook(L, on_line, LUA_MASKLINE, 0); /* coroutines inherit it */
  counted_watch(note);
}

void places_end(lua_State *L) {
  counted_watch(NULL);
  lua_sethook(L, NULL, 0, 0);
}

bool places_is_repeated(long number) {
  return number <= NOTED_MAX && is_repeated[number - 1];
}
