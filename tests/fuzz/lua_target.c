#include "lua_target.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#include "fuzz.h"

int __lsan_is_turned_off(void);
int luaopen_tokencache__core(lua_State *L);
int luaopen_tokencache__crypto(lua_State *L);
int luaopen_tokencache__json(lua_State *L);
int luaopen_tokencache__zlib(lua_State *L);

/* libFuzzer would look for leaks after each input, for Lua frees when it likes. The specs do that.
 */
int __lsan_is_turned_off(void) {
  return 1;
}

/* Read by libFuzzer as its own counters: which lines of Lua an input has come to. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[65536];

static void count_line(lua_State *L, lua_Debug *at) {
  lua_getinfo(L, "S", at);
  lines[((uintptr_t)at->source / 16 * 31 + (uintptr_t)at->currentline) % sizeof lines]++;
}

static const char before[] = "package.path = 'lua/?.lua;lua/?/init.lua;tests/?.lua'";

/* With the traceback: libFuzzer's own ends in here. */
static int explain(lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static void succeed(lua_State *L, int status) {
  if (status == LUA_OK) return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  abort();
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* Leaves the function that explains errors, and the target. */
static lua_State *open_target(void) {
  lua_State *L = luaL_newstate();
  require(L != NULL);
  luaL_openlibs(L);
  preload(L, "tokencache._core", luaopen_tokencache__core);
  preload(L, "tokencache._crypto", luaopen_tokencache__crypto);
  preload(L, "tokencache._json", luaopen_tokencache__json);
  preload(L, "tokencache._zlib", luaopen_tokencache__zlib);
  succeed(L, luaL_dostring(L, before));
  lua_pushcfunction(L, explain);
  succeed(L, luaL_loadfile(L, tc_fuzz_script));
  succeed(L, lua_pcall(L, 0, 1, 1));
  lua_sethook(L, count_line, LUA_MASKLINE, 0);
  return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (L == NULL) L = open_target();
  lua_pushvalue(L, 2);
  lua_pushlstring(L, size > 0 ? (const char *)data : "", size);
  succeed(L, lua_pcall(L, 1, 0, 1));
  return 0;
}
