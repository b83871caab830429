#include "lua/lclass.h"
#include "lua/lparts.h"

#define METATABLE "tokencache.atclose"

/* What the function raises is nobody's any more. */
static int l_atclose_gc(lua_State *L) {
  luaL_checkudata(L, 1, METATABLE);
  lua_getuservalue(L, 1);
  if (!lua_istable(L, -1)) return 0;
  lua_rawgeti(L, -1, 1);
  (void)lua_pcall(L, 0, 0, 0);
  return 0;
}

/* at_close(fn): calls fn when the Lua state is closed, before what was made earlier is finalized.
   It must not yield. */
static int l_at_close(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  (void)tc_lua_new_object(L, 1, METATABLE, NULL, l_atclose_gc);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 3, 1);
  lua_setuservalue(L, 2);
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

void tc_lua_open_at_close(lua_State *L) {
  lua_pushcfunction(L, l_at_close);
  lua_setfield(L, -2, "at_close");
}
