#include "lua/lbuf.h"

#include "lua/lclass.h"

#define METATABLE "tokencache.buf"

static int l_buf_free(lua_State *L) {
  tc_buf_free(luaL_checkudata(L, 1, METATABLE));
  return 0;
}

tc_buf *tc_lua_new_buf(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", l_buf_free}, {NULL, NULL}};
  tc_buf *buf = lua_newuserdata(L, sizeof *buf);
  *buf = TC_BUF_EMPTY;
  tc_lua_push_class(L, METATABLE, NULL, metamethods);
  lua_setmetatable(L, -2);
  return buf;
}
