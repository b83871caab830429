/* tokencache._secret_service: the keyring of a person's session, which needs libsecret. */
#include "backend/secret_service.h"
#include "lua/lbuf.h"
#include "lua/lerror.h"

TC_EXPORT int luaopen_tokencache__secret_service(lua_State *L);

/* The texts belong to the table at 1. */
static tc_secret_place check_place(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "application");
  lua_getfield(L, 1, "collection");
  lua_getfield(L, 1, "timeout");
  lua_getfield(L, 1, "patience");
  tc_secret_place place = {
      .application = luaL_checkstring(L, -4),
      .collection = luaL_checkstring(L, -3),
      .timeout = (double)luaL_checknumber(L, -2),
      .patience = (double)luaL_checknumber(L, -1),
  };
  lua_pop(L, 4);
  return place;
}

static tc_str opt_str(lua_State *L, int index) {
  tc_str text = TC_STR_NONE;
  if (!lua_isnoneornil(L, index)) text.data = luaL_checklstring(L, index, &text.len);
  return text;
}

static int push_outcome(lua_State *L, int status, const tc_error *err) {
  if (status < 0) return tc_lua_fail(L, err);
  lua_pushboolean(L, status == 0);
  return 1;
}

/* get(place, key) -> bytes; nil: there is no such entry; nil, err */
static int l_secret_get(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_secret_place place = check_place(L);
  const char *key = luaL_checkstring(L, 2);
  tc_buf *bytes = tc_lua_take_buf(L);
  int status = tc_secret_get(&place, key, bytes, &err);
  if (status < 0) return tc_lua_fail(L, &err);
  if (status == 0) return tc_lua_return_buf(L, bytes);
  tc_lua_give_back_buf(bytes);
  lua_pushnil(L);
  return 1;
}

/* put(place, key, label, bytes | nil) -> true; nil, err. nil deletes. */
static int l_secret_put(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_secret_place place = check_place(L);
  tc_secret_change change = {
      .key = luaL_checkstring(L, 2), .label = luaL_checkstring(L, 3), .bytes = opt_str(L, 4)};
  return push_outcome(L, tc_secret_put(&place, &change, &err), &err);
}

/* replace(place, key, label, old | nil, bytes | nil) -> true; false: something else is there;
   nil, err */
static int l_secret_replace(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_secret_place place = check_place(L);
  tc_str old = opt_str(L, 4);
  tc_secret_change change = {.key = luaL_checkstring(L, 2),
                             .label = luaL_checkstring(L, 3),
                             .old = &old,
                             .bytes = opt_str(L, 5)};
  return push_outcome(L, tc_secret_put(&place, &change, &err), &err);
}

/* keys(place) -> all keys, each with a NUL byte behind it; nil, err */
static int l_secret_keys(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_secret_place place = check_place(L);
  tc_buf *keys = tc_lua_take_buf(L);
  if (tc_secret_keys(&place, keys, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, keys);
}

int luaopen_tokencache__secret_service(lua_State *L) {
  static const luaL_Reg functions[] = {{"get", l_secret_get},
                                       {"put", l_secret_put},
                                       {"replace", l_secret_replace},
                                       {"keys", l_secret_keys},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  return 1;
}
