#include "lua/lpath.h"

#include <string.h>

const char *tc_lua_check_path(lua_State *L, int index) {
  size_t len;
  const char *path = luaL_checklstring(L, index, &len);
  luaL_argcheck(L, len > 0, index, "path is empty");
  luaL_argcheck(L, strlen(path) == len, index, "path holds a NUL byte");
  return path;
}
