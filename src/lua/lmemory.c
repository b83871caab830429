#include "lua/lmemory.h"

#include "lua/lclass.h"

#define METATABLE "tokencache.memory"

static void push_box(lua_State *L) {
  tc_lua_check_self(L, METATABLE);
  lua_getuservalue(L, 1);
}

static void push_class(lua_State *L);

/* new_memory([token_info]) -> handler */
static int l_memory_new(lua_State *L) {
  lua_settop(L, 1);
  tc_memory_lock *lock = lua_newuserdata(L, sizeof *lock);
  *lock = TC_MEMORY_LOCK_FREE;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, 2); /* who holds the box, such as a guard of the lock, holds the handler */
  lua_rawseti(L, -2, 2);
  lua_setuservalue(L, 2);
  push_class(L);
  lua_setmetatable(L, 2);
  return 1;
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

/* Reports whether nobody else holds the lock; zero asks for no lock. */
static bool may_change(const tc_memory_lock *lock, lua_Number handle) {
  return handle == 0 || !tc_memory_lock_is_of_another(lock, handle);
}

/* replace_cached_token(self, entry, token_info, good_until, handle) -> true; false where another
   table than `entry` is there or another holds the lock; false, "gone" where none is there */
static int l_memory_replace_cached_token(lua_State *L) {
  enum { ENTRY = 2, TOKEN_INFO, GOOD_UNTIL, HANDLE, BOX, HELD };
  lua_settop(L, HANDLE);
  const tc_memory_lock *lock = tc_lua_check_self(L, METATABLE);
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
  bool may_replace = may_change(lock, handle);
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
  const tc_memory_lock *lock = tc_lua_check_self(L, METATABLE);
  lua_Number handle = luaL_optnumber(L, HANDLE, 0);
  push_box(L);
  lua_rawgeti(L, BOX, 1);
  if (lua_isnil(L, ENTRY) || (lua_rawequal(L, HELD, ENTRY) && may_change(lock, handle))) {
    lua_pushnil(L);
    lua_rawseti(L, BOX, 1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* try_lock(self, ttl) -> handle, guard; false if it is taken */
static int l_memory_try_lock(lua_State *L) {
  tc_memory_lock *lock = tc_lua_check_self(L, METATABLE);
  lua_Number ttl = luaL_checknumber(L, 2);
  push_box(L);
  return tc_lua_try_memory_lock(L, lua_gettop(L), lock, ttl);
}

/* unlock(self, handle) -> true, also where that lock has ended */
static int l_memory_unlock(lua_State *L) {
  tc_memory_lock *lock = tc_lua_check_self(L, METATABLE);
  tc_memory_lock_release(lock, luaL_checknumber(L, 2));
  lua_pushboolean(L, 1);
  return 1;
}

tc_memory_lock *tc_lua_get_memory(lua_State *L, int index) {
  tc_memory_lock *lock = luaL_testudata(L, index, METATABLE);
  if (lock == NULL) {
    lua_pushnil(L);
  } else {
    lua_getuservalue(L, index);
  }
  return lock;
}

/* memory_box(handler) -> the table whose element 1 is what the handler holds, or nil where
   `handler` is no memory handler */
static int l_memory_box(lua_State *L) {
  luaL_checkany(L, 1);
  (void)tc_lua_get_memory(L, 1);
  return 1;
}

static int l_memory_tostring(lua_State *L) {
  tc_lua_check_self(L, METATABLE);
  lua_pushliteral(L, "tokencache.cache.memory");
  return 1;
}

static void push_class(lua_State *L) {
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
  tc_lua_push_class(L, METATABLE, methods, metamethods);
}

void tc_lua_open_memory(lua_State *L) {
  lua_pushcfunction(L, l_memory_new);
  lua_setfield(L, -2, "new_memory");
  lua_pushcfunction(L, l_memory_box);
  lua_setfield(L, -2, "memory_box");
}
