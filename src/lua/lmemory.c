/* The memory cache handler: keeps the token_info table itself. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/clock.h"
#include "lua/lclass.h"
#include "lua/lgarbage.h"
#include "lua/lparts.h"

#define METATABLE "tokencache.memory"
#define GUARD "tokencache.memorylock"

/* --- the lock -------------------------------------------------------------------------------- */

/* Between the coroutines of one Lua state. It ends when it is released, when its time is over, or
   with its guard. */
typedef struct memory_lock {
  lua_Number holder; /* a serial number, unique in the process; 0: nobody */
  double end;        /* monotonic seconds */
} memory_lock;

#define FREE ((memory_lock){0})

typedef struct guard {
  memory_lock *lock; /* kept alive by the uservalue, the box of its owner */
  lua_Number handle;
} guard;

static bool is_taken(const memory_lock *lock) {
  return lock->holder != 0 && tc_monotonic() < lock->end;
}

static void release(memory_lock *lock, lua_Number handle) {
  if (lock->holder == handle) *lock = FREE;
}

/* Reports whether somebody holds it by another handle, if there is one; a lock that has ended is
   nobody's. */
static bool is_of_another(const memory_lock *lock, lua_Number handle) {
  return handle != 0 && is_taken(lock) && lock->holder != handle;
}

static int l_memorylock_gc(lua_State *L) {
  guard *it = luaL_checkudata(L, 1, GUARD);
  if (it->lock != NULL) release(it->lock, it->handle);
  it->lock = NULL;
  return 0;
}

static guard *push_guard(lua_State *L, int box) {
  guard *it = tc_lua_new_object(L, sizeof *it, GUARD, NULL, l_memorylock_gc);
  lua_pushvalue(L, box);
  lua_setuservalue(L, -2);
  return it;
}

/* Returns a handle, or 0 while another holds it. */
static lua_Number take(lua_State *L, memory_lock *lock, lua_Number ttl) {
  static atomic_uint_least64_t serial;
  if (is_taken(lock) && !(tc_lua_collect_garbage(L) && !is_taken(lock))) return 0;
  lua_Number handle = (lua_Number)(atomic_fetch_add(&serial, 1) + 1);
  *lock = (memory_lock){.holder = handle, .end = tc_monotonic() + ttl};
  return handle;
}

/* Pushes a handle and a guard whose collection ends the lock, or false if it is taken; returns how
   many values. At `box` is a table that holds the owner of `lock`. */
static int try_lock(lua_State *L, int box, memory_lock *lock, lua_Number ttl) {
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

/* --- the handler ----------------------------------------------------------------------------- */

/* A table whose element 1 is what the handler holds, and which holds the handler. */
static void push_box(lua_State *L) {
  tc_lua_check_self(L, METATABLE);
  lua_getuservalue(L, 1);
}

/* get_cached_token(self) -> token_info, nil, entry, which is the same table; nil alone: a miss */
static int l_memory_get_cached_token(lua_State *L) {
  push_box(L);
  lua_rawgeti(L, -1, 1);
  if (lua_isnil(L, -1)) return 1;
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 3;
}

static int l_memory_save_token_to_cache(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  push_box(L);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, 1);
  lua_pushboolean(L, 1);
  return 1;
}

/* replace_cached_token(self, entry, token_info, good_until, handle) -> true; false where another
   table than `entry` is there or another holds the lock; false, "gone" where none is there */
static int l_memory_replace_cached_token(lua_State *L) {
  enum { ENTRY = 2, TOKEN_INFO, GOOD_UNTIL, HANDLE, BOX, HELD };
  lua_settop(L, HANDLE);
  const memory_lock *lock = tc_lua_check_self(L, METATABLE);
  luaL_checktype(L, TOKEN_INFO, LUA_TTABLE);
  lua_Number handle = luaL_optnumber(L, HANDLE, 0);
  push_box(L);
  lua_rawgeti(L, BOX, 1);
  if (!lua_rawequal(L, HELD, ENTRY)) {
    lua_pushboolean(L, 0);
    if (!lua_isnil(L, HELD)) return 1;
    lua_pushliteral(L, "gone");
    return 2;
  }
  bool may_replace = !is_of_another(lock, handle);
  if (may_replace) {
    lua_pushvalue(L, TOKEN_INFO);
    lua_rawseti(L, BOX, 1);
  }
  lua_pushboolean(L, may_replace);
  return 1;
}

/* remove_cached_token(self, entry, handle) -> true. With an entry only that table is removed, and
   only if no other holds the lock. */
static int l_memory_remove_cached_token(lua_State *L) {
  enum { ENTRY = 2, HANDLE, BOX, HELD };
  lua_settop(L, HANDLE);
  const memory_lock *lock = tc_lua_check_self(L, METATABLE);
  lua_Number handle = luaL_optnumber(L, HANDLE, 0);
  push_box(L);
  lua_rawgeti(L, BOX, 1);
  if (lua_isnil(L, ENTRY) || (lua_rawequal(L, HELD, ENTRY) && !is_of_another(lock, handle))) {
    lua_pushnil(L);
    lua_rawseti(L, BOX, 1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* try_lock(self, ttl) -> handle, guard; false if it is taken */
static int l_memory_try_lock(lua_State *L) {
  memory_lock *lock = tc_lua_check_self(L, METATABLE);
  lua_Number ttl = luaL_checknumber(L, 2);
  push_box(L);
  return try_lock(L, lua_gettop(L), lock, ttl);
}

/* unlock(self, handle) -> true, also where that lock has ended */
static int l_memory_unlock(lua_State *L) {
  memory_lock *lock = tc_lua_check_self(L, METATABLE);
  release(lock, luaL_checknumber(L, 2));
  lua_pushboolean(L, 1);
  return 1;
}

/* memory_box(handler) -> the table whose element 1 is what the handler holds, or nil where
   `handler` is no memory handler */
static int l_memory_box(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_testudata(L, 1, METATABLE) == NULL) return 0;
  lua_getuservalue(L, 1);
  return 1;
}

static int l_memory_tostring(lua_State *L) {
  tc_lua_check_self(L, METATABLE);
  lua_pushliteral(L, "tokencache.cache.memory");
  return 1;
}

/* new_memory([token_info]) -> handler */
static int l_memory_new(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get_cached_token", l_memory_get_cached_token},
      {"save_token_to_cache", l_memory_save_token_to_cache},
      {"replace_cached_token", l_memory_replace_cached_token},
      {"remove_cached_token", l_memory_remove_cached_token},
      {"try_lock", l_memory_try_lock},
      {"unlock", l_memory_unlock},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__tostring", l_memory_tostring}, {NULL, NULL}};
  lua_settop(L, 1);
  memory_lock *lock = lua_newuserdata(L, sizeof *lock);
  *lock = FREE;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, 2); /* who holds the box, such as a guard of the lock, holds the handler */
  lua_rawseti(L, -2, 2);
  lua_setuservalue(L, 2);
  tc_lua_push_class(L, METATABLE, methods, metamethods);
  lua_setmetatable(L, 2);
  return 1;
}

void tc_lua_open_memory(lua_State *L) {
  lua_pushcfunction(L, l_memory_new);
  lua_setfield(L, -2, "new_memory");
  lua_pushcfunction(L, l_memory_box);
  lua_setfield(L, -2, "memory_box");
}
