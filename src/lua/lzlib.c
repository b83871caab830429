/* tokencache._zlib: what needs zlib. */
#include "backend/deflate.h"
#include "core/base64.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lerror.h"

TC_EXPORT int luaopen_tokencache__zlib(lua_State *L);

/* pack(bytes) -> text; nil, err */
static int l_zlib_pack(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_str bytes = tc_lua_check_str(L, 1);
  tc_buf *out = tc_lua_take_buf(L);
  if (tc_pack(out, bytes, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* unpack(text, length, most) -> at most that many bytes, of the text's first `length`; nil,
   "truncated" | "damaged" | "too long" | "not base64url"; nil, err */
static int l_zlib_unpack(lua_State *L) {
  static const char *const problems[] = {NULL, "truncated", "damaged", "too long", "not base64url"};
  tc_error err = TC_ERROR_NONE;
  tc_str text = tc_lua_check_str(L, 1);
  lua_Integer length = luaL_checkinteger(L, 2), most = luaL_checkinteger(L, 3);
  luaL_argcheck(L, length >= 0 && (size_t)length <= text.len, 2, "the text is not that long");
  luaL_argcheck(L, most >= 0 && most <= 0x40000000, 3, "most must be from 0 to 2^30");
  tc_buf *out = tc_lua_take_buf(L);
  int status = tc_unpack(out, (tc_str){text.data, (size_t)length}, (size_t)most, &err);
  if (status == 0) return tc_lua_return_buf(L, out);
  tc_lua_give_back_buf(out);
  if (status < 0) return tc_lua_fail(L, &err);
  lua_pushnil(L);
  lua_pushstring(L, problems[status]);
  return 2;
}

int luaopen_tokencache__zlib(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"pack", l_zlib_pack}, {"unpack", l_zlib_unpack}, {NULL, NULL}};
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  return 1;
}
