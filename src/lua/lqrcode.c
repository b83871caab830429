/* tokencache._qrcode: QR codes, by libqrencode. */
#include <errno.h>
#include <qrencode.h>
#include <unistd.h>

#include "lua/lbuf.h"

TC_EXPORT int luaopen_tokencache__qrcode(lua_State *L);

/* encode(text) -> modules, row by row, a byte of 1 for each dark one and of 0 for each other; and
   how many a row has. nil: the text is too long. */
static int l_qrcode_encode(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  tc_buf *modules = tc_lua_take_buf(L);
  errno = 0;
  QRcode *code = QRcode_encodeData((int)len, (const unsigned char *)text, 0, QR_ECLEVEL_L);
  if (code == NULL && errno != ENOMEM) {
    tc_lua_give_back_buf(modules);
    return 0;
  }
  lua_Integer width = code != NULL ? code->width : 0;
  for (lua_Integer i = 0; i < width * width; i++) {
    tc_buf_add_char(modules, (char)(code->data[i] & 1));
  }
  QRcode_free(code);
  if (code == NULL || modules->failed) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, modules->data, modules->len);
  lua_pushinteger(L, width);
  tc_lua_give_back_buf(modules);
  return 2;
}

/* is_seen() -> whether stderr is a terminal */
static int l_qrcode_is_seen(lua_State *L) {
  lua_pushboolean(L, isatty(STDERR_FILENO));
  return 1;
}

int luaopen_tokencache__qrcode(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"encode", l_qrcode_encode}, {"is_seen", l_qrcode_is_seen}, {NULL, NULL}};
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  return 1;
}
