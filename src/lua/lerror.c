#include "lua/lerror.h"

#include "lua/lbuf.h"
#include "lua/lclass.h"

#define METATABLE "tokencache.error"

static void push_message(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) {
    lua_pushvalue(L, index);
    return;
  }
  lua_pushliteral(L, "message");
  lua_rawget(L, index);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "unknown error");
  }
}

static int l_error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  push_message(L, 1);
  return 1;
}

static int l_error_concat(lua_State *L) {
  lua_settop(L, 2);
  push_message(L, 1);
  push_message(L, 2);
  if (!lua_isstring(L, 3) || !lua_isstring(L, 4)) {
    return luaL_error(L, "attempt to concatenate a %s value",
                      luaL_typename(L, lua_isstring(L, 3) ? 2 : 1));
  }
  lua_concat(L, 2);
  return 1;
}

void tc_lua_push_error_metatable(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__tostring", l_error_tostring},
      {"__concat", l_error_concat},
      {NULL, NULL},
  };
  tc_lua_push_class(L, METATABLE, NULL, metamethods);
}

static void set_text(lua_State *L, const char *field, const char *text) {
  if (text[0] == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

void tc_lua_push_error(lua_State *L, const tc_error *err) {
  lua_createtable(L, 0, 6);
  set_text(L, "kind", tc_kind_name(err->kind));
  set_text(L, "message", err->message);
  set_text(L, "code", err->code);
  set_text(L, "description", err->description);
  if (err->status != 0) {
    lua_pushinteger(L, err->status);
    lua_setfield(L, -2, "status");
  }
  if (err->retry_after >= 0) {
    lua_pushnumber(L, err->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  tc_lua_push_error_metatable(L);
  lua_setmetatable(L, -2);
}

int tc_lua_fail_collected(lua_State *L) {
  return luaL_error(L, "the flow is closed: it was collected together with what calls it");
}

int tc_lua_fail(lua_State *L, const tc_error *err) {
  tc_lua_give_back_bufs(L);
  if (err->number == TC_ERR_NOMEM) return luaL_error(L, "not enough memory");
  lua_pushnil(L);
  tc_lua_push_error(L, err);
  return 2;
}

int tc_lua_done(lua_State *L, int status, const tc_error *err) {
  if (status < 0) return tc_lua_fail(L, err);
  lua_pushboolean(L, 1);
  return 1;
}
