/* The one place that knows which Lua this is. The bindings are written to the Lua 5.3 API; what
   5.2, 5.1 and LuaJIT lack is supplied here under names of our own. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

#define TC_EXPORT __attribute__((visibility("default")))

#if LUA_VERSION_NUM >= 503
#define TC_LUA_HAS_INTEGERS 1
#else
#define TC_LUA_HAS_INTEGERS 0
#endif

#if LUA_VERSION_NUM < 502
static inline void tc_compat_setfuncs(lua_State *L, const luaL_Reg *list, int upvalues) {
  luaL_checkstack(L, upvalues + 2, "too many upvalues");
  for (; list->name != NULL; list++) {
    lua_pushstring(L, list->name);
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -(upvalues + 1));
    lua_pushcclosure(L, list->func, upvalues);
    lua_rawset(L, -(upvalues + 3));
  }
  lua_pop(L, upvalues);
}

static inline void *tc_compat_testudata(lua_State *L, int index, const char *name) {
  void *data = lua_touserdata(L, index);
  if (data == NULL || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, name);
  if (!lua_rawequal(L, -1, -2)) data = NULL;
  lua_pop(L, 2);
  return data;
}

static inline int tc_compat_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

#undef luaL_setfuncs
#undef luaL_newlib
#undef luaL_testudata
#undef lua_absindex
#undef lua_rawlen
#define luaL_setfuncs tc_compat_setfuncs
#define luaL_newlib(L, list) (lua_newtable(L), luaL_setfuncs(L, list, 0))
#define luaL_testudata tc_compat_testudata
#define lua_absindex tc_compat_absindex
#define lua_rawlen lua_objlen

/* 5.1 keeps a table beside each userdata as its environment. */
#define lua_getuservalue(L, index) lua_getfenv(L, index)
#define lua_setuservalue(L, index) lua_setfenv(L, index)
#else
/* From 5.3 on it is a lua_Unsigned, which may be wider than what it counts. */
#define lua_rawlen(L, index) ((size_t)lua_rawlen(L, index))
#endif
