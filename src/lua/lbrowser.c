/* tokencache._browser: the user's web browser. */
#include "backend/browser.h"
#include "lua/lclass.h"
#include "lua/lerror.h"

#define METATABLE "tokencache.browser"

TC_EXPORT int luaopen_tokencache__browser(lua_State *L);

typedef struct l_browser {
  tc_browser browser;
  bool is_open;
} l_browser;

/* browser:failed() -> whether it, and every other one to be tried, ended with a failure */
static int l_browser_failed(lua_State *L) {
  l_browser *self = luaL_checkudata(L, 1, METATABLE);
  if (!self->is_open) return luaL_error(L, "failed: the browser's handle is closed");
  lua_pushboolean(L, tc_browser_failed(&self->browser));
  return 1;
}

/* browser:close(), any number of times; the browser itself goes on */
static int l_browser_close(lua_State *L) {
  l_browser *self = luaL_checkudata(L, 1, METATABLE);
  tc_browser_close(&self->browser);
  self->is_open = false;
  return 0;
}

static l_browser *new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"failed", l_browser_failed},
      {"close", l_browser_close},
      {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(l_browser), METATABLE, methods, l_browser_close);
}

/* open(url) -> browser; nil, err. The message never quotes the URL, which holds the state. */
static int l_browser_open(lua_State *L) {
  size_t len;
  const char *url = luaL_checklstring(L, 1, &len);
  tc_error err = TC_ERROR_NONE;
  luaL_argcheck(L, strlen(url) == len, 1, "url holds a NUL byte");
  l_browser *self = new_closed(L);
  if (tc_browser_open(&self->browser, url, &err) < 0) return tc_lua_fail(L, &err);
  self->is_open = true;
  return 1;
}

int luaopen_tokencache__browser(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_browser_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
