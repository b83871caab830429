/* tokencache._core: everything that needs no library beyond libc. */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "backend/clock.h"
#include "core/base64.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lerror.h"
#include "lua/lgarbage.h"
#include "lua/lparts.h"

TC_EXPORT int luaopen_tokencache__core(lua_State *L);

/* now() -> Unix seconds, with fraction */
static int l_core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tc_unix_time());
  return 1;
}

/* monotonic() -> seconds since some fixed point, the same in every process of the machine */
static int l_core_monotonic(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tc_monotonic());
  return 1;
}

/* A look into a cache asks both. LuaJIT compiles no call of a C function like these, but it does
   compile one through its FFI: where there is one, it replaces them. */
static const struct {
  double (*now)(void), (*monotonic)(void);
} clocks = {tc_unix_time, tc_monotonic};

static const char replace_clocks[] =
    "local core, clocks = ...\n"
    "if jit then\n"
    "  clocks = require('ffi').cast('struct { double (*now)(), (*monotonic)(); } *', clocks)\n"
    "  core.now = function() return clocks.now() end\n"
    "  core.monotonic = function() return clocks.monotonic() end\n"
    "end\n";

/* The module is on top of the stack. */
static void compile_clocks(lua_State *L) {
  int module = lua_gettop(L);
  if (luaL_loadstring(L, replace_clocks) == 0) {
    lua_pushvalue(L, module);
    lua_pushlightuserdata(L, (void *)&clocks);
    (void)lua_pcall(L, 2, 0, 0); /* without an FFI they stay as they are */
  }
  lua_settop(L, module);
}

/* collect_garbage() -> whether it was done: see lgarbage.h */
static int l_core_collect_garbage(lua_State *L) {
  lua_pushboolean(L, tc_lua_collect_garbage(L));
  return 1;
}

/* A NaN is no time at all, and what is longer than `most` is cut to that. */
static double check_seconds(lua_State *L, double most) {
  double seconds = (double)luaL_checknumber(L, 1);
  if (!(seconds > 0)) return 0;
  return seconds < most ? seconds : most;
}

/* sleep(seconds): blocks the thread, for thirty years at most */
static int l_core_sleep(lua_State *L) {
  double seconds = check_seconds(L, 1e9);
  struct timespec left = {.tv_sec = (time_t)seconds};
  left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
  return 0;
}

/* is_keyboard_quiet(seconds) -> whether stdin is a terminal at which nobody ends a line within that
   time; a signal ends it early */
static int l_core_is_keyboard_quiet(lua_State *L) {
  struct pollfd keyboard = {STDIN_FILENO, POLLIN, 0};
  int milliseconds = (int)(check_seconds(L, 86400) * 1000);
  lua_pushboolean(L, isatty(STDIN_FILENO) && poll(&keyboard, 1, milliseconds) <= 0);
  return 1;
}

/* as_error(fields) -> the same table, now an error */
static int l_core_as_error(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  tc_lua_push_error_metatable(L);
  lua_setmetatable(L, 1);
  return 1;
}

/* printable(text) -> the same without control characters and broken UTF-8 */
static int l_core_printable(lua_State *L) {
  tc_str text = tc_lua_check_str(L, 1);
  tc_buf *out = tc_lua_take_buf(L);
  char *to = tc_buf_reserve(out, text.len + 1);
  if (to == NULL) return luaL_error(L, "not enough memory");
  tc_error_copy_foreign(to, text.len + 1, text);
  lua_pushstring(L, to);
  tc_lua_give_back_buf(out);
  return 1;
}

/* base64url_encode(bytes) -> text, without padding */
static int l_core_base64url_encode(lua_State *L) {
  tc_str bytes = tc_lua_check_str(L, 1);
  tc_buf *out = tc_lua_take_buf(L);
  tc_base64url_encode(out, bytes);
  return tc_lua_return_buf(L, out);
}

/* base64url_decode(text) -> bytes; nil where base64url_encode would not write that text */
static int l_core_base64url_decode(lua_State *L) {
  tc_str text = tc_lua_check_str(L, 1);
  tc_buf *out = tc_lua_take_buf(L);
  if (tc_base64url_decode(out, text)) return tc_lua_return_buf(L, out);
  lua_pushnil(L);
  return 1;
}

int luaopen_tokencache__core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"now", l_core_now},
      {"monotonic", l_core_monotonic},
      {"sleep", l_core_sleep},
      {"collect_garbage", l_core_collect_garbage},
      {"is_keyboard_quiet", l_core_is_keyboard_quiet},
      {"as_error", l_core_as_error},
      {"printable", l_core_printable},
      {"base64url_encode", l_core_base64url_encode},
      {"base64url_decode", l_core_base64url_decode},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  compile_clocks(L);
  tc_lua_open_file(L);
  tc_lua_open_at_close(L);
  tc_lua_open_memory(L);
  tc_lua_open_process(L);
  tc_lua_open_client(L);
  tc_lua_open_engine(L);
  tc_lua_open_authorization(L);
  return 1;
}
