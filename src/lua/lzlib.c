/* tokencache._zlib: what needs zlib. */
#include "backend/deflate.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lerror.h"

TC_EXPORT int luaopen_tokencache__zlib(lua_State *L);

/* compress(bytes) -> bytes; nil, err */
static int l_zlib_compress(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_str bytes = tc_lua_check_str(L, 1);
  tc_buf *out = tc_lua_new_buf(L);
  if (tc_deflate(out, bytes, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* decompress(bytes, most) -> at most that many bytes; nil, "truncated" | "damaged" | "too long";
   nil, err */
static int l_zlib_decompress(lua_State *L) {
  static const char *const problems[] = {NULL, "truncated", "damaged", "too long"};
  tc_error err = TC_ERROR_NONE;
  tc_str bytes = tc_lua_check_str(L, 1);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most >= 0 && most <= 0x40000000, 2, "most must be from 0 to 2^30");
  tc_buf *out = tc_lua_new_buf(L);
  int status = tc_inflate(out, bytes, (size_t)most, &err);
  if (status < 0) return tc_lua_fail(L, &err);
  if (status == 0) return tc_lua_return_buf(L, out);
  tc_buf_free(out);
  lua_pushnil(L);
  lua_pushstring(L, problems[status]);
  return 2;
}

int luaopen_tokencache__zlib(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"compress", l_zlib_compress}, {"decompress", l_zlib_decompress}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
