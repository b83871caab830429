#include "lua/lmemorylock.h"

#include <stdatomic.h>
#include <stdint.h>

#include "backend/clock.h"
#include "lua/lclass.h"
#include "lua/lgarbage.h"

#define METATABLE "tokencache.memorylock"

typedef struct guard {
  tc_memory_lock *lock; /* kept alive by the uservalue, the box of its owner */
  lua_Number handle;
} guard;

static bool is_taken(const tc_memory_lock *lock) {
  return lock->holder != 0 && tc_monotonic() < lock->end;
}

void tc_memory_lock_release(tc_memory_lock *lock, lua_Number handle) {
  if (lock->holder == handle) *lock = TC_MEMORY_LOCK_FREE;
}

bool tc_memory_lock_is_of_another(const tc_memory_lock *lock, lua_Number handle) {
  return is_taken(lock) && lock->holder != handle;
}

static int l_memorylock_gc(lua_State *L) {
  guard *it = luaL_checkudata(L, 1, METATABLE);
  if (it->lock != NULL) tc_memory_lock_release(it->lock, it->handle);
  it->lock = NULL;
  return 0;
}

static guard *push_guard(lua_State *L, int box) {
  guard *it = tc_lua_new_object(L, sizeof *it, METATABLE, NULL, l_memorylock_gc);
  lua_pushvalue(L, box);
  lua_setuservalue(L, -2);
  return it;
}

/* Returns a handle, or 0 while another holds it. */
static lua_Number take(lua_State *L, tc_memory_lock *lock, lua_Number ttl) {
  static atomic_uint_least64_t serial;
  if (is_taken(lock) && !(tc_lua_collect_garbage(L) && !is_taken(lock))) return 0;
  lua_Number handle = (lua_Number)(atomic_fetch_add(&serial, 1) + 1);
  *lock = (tc_memory_lock){.holder = handle, .end = tc_monotonic() + ttl};
  return handle;
}

int tc_lua_try_memory_lock(lua_State *L, int box, tc_memory_lock *lock, lua_Number ttl) {
  guard *it = push_guard(L, box);
  lua_Number handle = take(L, lock, ttl);
  if (handle == 0) {
    lua_pushboolean(L, 0);
    return 1;
  }
  *it = (guard){lock, handle};
  lua_pushinteger(L, (lua_Integer)handle);
  lua_insert(L, -2);
  return 2;
}
