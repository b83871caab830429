#include "lua/lrepeated.h"

#include "lua/lbuf.h"

bool tc_lua_repeat(lua_State *L, const tc_lua_repeated *last, tc_str bytes) {
  if (last->ref != 0) {
    tc_str said;
    lua_rawgeti(L, LUA_REGISTRYINDEX, last->ref);
    said.data = lua_tolstring(L, -1, &said.len);
    if (tc_str_equal(said, bytes)) return true;
    lua_pop(L, 1);
  }
  tc_buf_add_str(tc_lua_take_buf(L), bytes);
  return false;
}

void tc_lua_push_said(lua_State *L, tc_lua_repeated *last) {
  (void)tc_lua_return_buf(L, lua_touserdata(L, -1));
  lua_pushvalue(L, -1);
  if (last->ref == 0) {
    last->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  } else {
    lua_rawseti(L, LUA_REGISTRYINDEX, last->ref);
  }
}

void tc_lua_forget_repeated(lua_State *L, tc_lua_repeated *last) {
  if (last->ref != 0) luaL_unref(L, LUA_REGISTRYINDEX, last->ref);
  last->ref = 0;
}
