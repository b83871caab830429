#include "lua/largument.h"

tc_str tc_lua_check_str(lua_State *L, int index) {
  tc_str text;
  text.data = luaL_checklstring(L, index, &text.len);
  return text;
}

const char *tc_lua_check_path(lua_State *L, int index) {
  tc_str path = tc_lua_check_str(L, index);
  luaL_argcheck(L, path.len > 0, index, "path is empty");
  luaL_argcheck(L, strlen(path.data) == path.len, index, "path holds a NUL byte");
  return path.data;
}
