#include "lua/lgarbage.h"

#include "backend/clock.h"

#define PAUSE 20 /* times as long as a collection took, until the next */

/* One for all threads: memory of a thread's own aborts the program where there is none. */
static _Atomic double next_collection;

bool tc_lua_collect_garbage(lua_State *L) {
  double start = tc_monotonic();
  if (start < next_collection) return false;
  (void)lua_gc(L, LUA_GCCOLLECT, 0);
  double stop = tc_monotonic();
  next_collection = stop + PAUSE * (stop - start);
  return true;
}
