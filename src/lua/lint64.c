#include "lua/lint64.h"

#if TC_LUA_HAS_INTEGERS

void tc_lua_push_int64(lua_State *L, int64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
}

bool tc_lua_get_int64(lua_State *L, int index, int64_t *value) {
  if (!lua_isinteger(L, index)) return false;
  *value = (int64_t)lua_tointeger(L, index);
  return true;
}

#else

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "lua/lclass.h"

#define METATABLE "tokencache.integer"
#define MAX_EXACT 9007199254740992 /* 2^53 */

static int64_t check_int64(lua_State *L, int index) {
  return *(const int64_t *)luaL_checkudata(L, index, METATABLE);
}

static int l_int64_tostring(lua_State *L) {
  char digits[24];
  (void)snprintf(digits, sizeof digits, "%" PRId64, check_int64(L, 1));
  lua_pushstring(L, digits);
  return 1;
}

static int l_int64_eq(lua_State *L) {
  lua_pushboolean(L, check_int64(L, 1) == check_int64(L, 2));
  return 1;
}

static int l_int64_lt(lua_State *L) {
  lua_pushboolean(L, check_int64(L, 1) < check_int64(L, 2));
  return 1;
}

static int l_int64_le(lua_State *L) {
  lua_pushboolean(L, check_int64(L, 1) <= check_int64(L, 2));
  return 1;
}

void tc_lua_push_int64(lua_State *L, int64_t value) {
  static const luaL_Reg metamethods[] = {
      {"__tostring", l_int64_tostring},
      {"__eq", l_int64_eq},
      {"__lt", l_int64_lt},
      {"__le", l_int64_le},
      {NULL, NULL},
  };
  if (value >= -MAX_EXACT && value <= MAX_EXACT) {
    lua_pushnumber(L, (lua_Number)value);
    return;
  }
  int64_t *boxed = lua_newuserdata(L, sizeof *boxed);
  *boxed = value;
  tc_lua_push_class(L, METATABLE, NULL, metamethods);
  lua_setmetatable(L, -2);
}

bool tc_lua_get_int64(lua_State *L, int index, int64_t *value) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number number = lua_tonumber(L, index);
    bool integral = fabs(number) <= (lua_Number)MAX_EXACT && floor(number) == number;
    if (!integral || (number == 0 && signbit(number))) return false; /* -0.0 stays a real */
    *value = (int64_t)number;
    return true;
  }
  const int64_t *boxed = luaL_testudata(L, index, METATABLE);
  if (boxed == NULL) return false;
  *value = *boxed;
  return true;
}

#endif
