#include "lua/lclass.h"

#include <string.h>

#include "lua/lbuf.h"

void tc_lua_push_class(lua_State *L, const char *name, const luaL_Reg *methods,
                       const luaL_Reg *metamethods) {
  luaL_newmetatable(L, name);
  lua_getfield(L, -1, "__metatable"); /* set last: its presence says "complete" */
  int complete = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (complete) return;
  if (metamethods != NULL) luaL_setfuncs(L, metamethods, 0);
  if (methods != NULL) {
    lua_newtable(L);
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, methods, 1);
    lua_setfield(L, -2, "__index");
    tc_lua_ready_buf(L);
  }
  lua_pushstring(L, name); /* getmetatable(x) in Lua gives the name only */
  lua_setfield(L, -2, "__metatable");
}

void *tc_lua_new_object(lua_State *L, size_t size, const char *name, const luaL_Reg *methods,
                        lua_CFunction close) {
  const luaL_Reg metamethods[] = {{"__gc", close}, {"__close", close}, {NULL, NULL}};
  void *made = memset(lua_newuserdata(L, size), 0, size);
  tc_lua_push_class(L, name, methods, metamethods);
  lua_setmetatable(L, -2);
  return made;
}

void *tc_lua_check_self(lua_State *L, const char *name) {
  void *self = lua_touserdata(L, 1);
  if (self != NULL && lua_getmetatable(L, 1)) {
    int same = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
    if (same) return self;
  }
  return luaL_checkudata(L, 1, name);
}
