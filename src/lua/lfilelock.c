#include "lua/lfilelock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/filelock.h"
#include "lua/largument.h"
#include "lua/lclass.h"
#include "lua/lerror.h"

#define METATABLE "tokencache.filelock"

/* What is no handle of ours is the handle of no lock. */
static uint64_t check_handle(lua_State *L, int index) {
  const char *text = luaL_checkstring(L, index);
  char *end;
  uint64_t id = strtoull(text, &end, 10);
  return end > text && *end == '\0' ? id : 0;
}

static int l_filelock_gc(lua_State *L) {
  uint64_t *id = luaL_checkudata(L, 1, METATABLE);
  if (*id != 0) tc_filelock_release(*id);
  *id = 0;
  return 0;
}

/* new_lock() -> guard, handle: a lock to be taken with try_lock, here or in another Lua state of
   the process; it ends with unlock, or with the guard */
static int l_filelock_new(lua_State *L) {
  char handle[24];
  uint64_t *id = tc_lua_new_object(L, sizeof *id, METATABLE, NULL, l_filelock_gc);
  *id = tc_filelock_reserve();
  if (*id == 0) return luaL_error(L, "not enough memory");
  (void)snprintf(handle, sizeof handle, "%" PRIu64, *id);
  lua_pushstring(L, handle);
  return 2;
}

/* try_lock(path, handle[, any_owner[, part]]) -> true; false, whether this process itself holds it;
 * nil, err */
static int l_filelock_try(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  uint64_t id = check_handle(L, 2);
  tc_str part = lua_isnoneornil(L, 4) ? TC_STR_NONE : tc_lua_check_str(L, 4);
  tc_error err = TC_ERROR_NONE;
  int status = tc_filelock_try(id, path, part, lua_toboolean(L, 3), &err);
  if (status < 0) return tc_lua_fail(L, &err);
  lua_pushboolean(L, status == 0);
  if (status == 0) return 1;
  lua_pushboolean(L, status == TC_FILELOCK_TAKEN_HERE);
  return 2;
}

/* unlock(handle) -> true, also where that lock has ended */
static int l_filelock_unlock(lua_State *L) {
  tc_filelock_release(check_handle(L, 1));
  lua_pushboolean(L, 1);
  return 1;
}

/* holds_lock(handle) -> whether this process does */
static int l_filelock_holds(lua_State *L) {
  lua_pushboolean(L, tc_filelock_is_held(check_handle(L, 1)));
  return 1;
}

void tc_lua_open_filelock(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new_lock", l_filelock_new},
      {"try_lock", l_filelock_try},
      {"unlock", l_filelock_unlock},
      {"holds_lock", l_filelock_holds},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
