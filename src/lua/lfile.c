#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "backend/directory.h"
#include "backend/file.h"
#include "backend/filelock.h"
#include "backend/owner.h"
#include "backend/symlink.h"
#include "core/secret.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lparts.h"

#define LOCK "tokencache.filelock"
#define ROOM 4096 /* bytes; more than a token's file usually has */

static void push_wiped(lua_State *L, char *room, size_t len) {
  lua_pushlstring(L, room, len);
  tc_wipe(room, len);
}

/* Too large for the stack. The room is Lua's own memory, which needs no freeing. */
static int read_larger(lua_State *L, const char *path, bool any_owner, tc_file_seen *seen,
                       tc_error *err) {
  int status = TC_FILE_LARGER;
  while (status == TC_FILE_LARGER) {
    size_t size = seen->len;
    lua_settop(L, 1);
    char *room = lua_newuserdata(L, size);
    status = tc_file_read(path, any_owner, room, size, seen, err);
    if (status == 0) push_wiped(L, room, seen->len);
  }
  return status;
}

/* Returns how many values it has pushed. */
static int push_doubt(lua_State *L, const tc_file_seen *seen) {
  if (seen->is_open) {
    lua_pushnil(L);
    lua_pushliteral(L, "everybody may write to it, and put any login there; take that right away "
                       "(chmod o-w), or give allow_foreign = true");
  } else if (!tc_owner_is_known(seen->owner)) {
    lua_pushnil(L);
    lua_pushfstring(L,
                    "it belongs to another user (uid %d), who may have put any login there; run "
                    "as that user, or give allow_foreign = true",
                    (int)seen->owner);
  } else {
    return 0;
  }
  return 2;
}

/* read(path[, any_owner]) -> bytes; bytes, nil, a doubt about who has written them; nil if there is
   no such file; nil, err */
static int l_file_read(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  bool any_owner = lua_toboolean(L, 2);
  char room[ROOM];
  tc_file_seen seen;
  tc_error err = TC_ERROR_NONE;
  int status = tc_file_read(path, any_owner, room, sizeof room, &seen, &err);
  if (status == 0) push_wiped(L, room, seen.len);
  if (status == TC_FILE_LARGER) status = read_larger(L, path, any_owner, &seen, &err);
  if (status == TC_FILE_MISSING) lua_pushnil(L);
  if (status < 0) return tc_lua_fail(L, &err);
  return status == 0 && !any_owner ? 1 + push_doubt(L, &seen) : 1;
}

/* write(path, bytes) -> true; nil, err */
static int l_file_write(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  tc_error err = TC_ERROR_NONE;
  return tc_lua_done(L, tc_file_write(path, tc_lua_check_str(L, 2), &err), &err);
}

/* remove(path) -> true, also if there is no such file; nil, err */
static int l_file_remove(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  tc_error err = TC_ERROR_NONE;
  return tc_lua_done(L, tc_file_remove(path, &err), &err);
}

/* can_replace(path, size) -> true: a write of that many bytes should succeed; nil, err */
static int l_file_can_replace(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  lua_Integer size = luaL_checkinteger(L, 2);
  tc_error err = TC_ERROR_NONE;
  luaL_argcheck(L, size >= 0, 2, "negative");
  return tc_lua_done(L, tc_file_can_replace(path, (size_t)size, &err), &err);
}

/* list(directory) -> the names in it, each followed by a "/"; nil, err */
static int l_file_list(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  tc_error err = TC_ERROR_NONE;
  tc_buf *names = tc_lua_take_buf(L);
  if (tc_directory_list(path, names, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, names);
}

/* stamp(path) -> when it was written last, in Unix seconds, a text that another version of the file
   has not, and whether everybody may read it; nil: it cannot be told */
static int l_file_stamp(lua_State *L) {
  char text[80];
  struct stat st;
  if (stat(tc_lua_check_path(L, 1), &st) != 0) return 0;
  (void)snprintf(text, sizeof text, "%ju %jd %jd.%09ld", (uintmax_t)st.st_ino, (intmax_t)st.st_size,
                 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  lua_pushnumber(L, (lua_Number)st.st_mtim.tv_sec);
  lua_pushstring(L, text);
  lua_pushboolean(L, (st.st_mode & S_IROTH) != 0);
  return 3;
}

/* target(path) -> the path of what a symbolic link leads to, else the path; nil, err */
static int l_file_target(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  char target[PATH_MAX];
  tc_error err = TC_ERROR_NONE;
  if (tc_symlink_target(path, target, &err) < 0) return tc_lua_fail(L, &err);
  lua_pushstring(L, target);
  return 1;
}

/* real_path(path) -> the absolute path without symbolic links; what does not exist yet keeps its
   name, and a path that leads nowhere is returned as it is */
static int l_file_real_path(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  char real[PATH_MAX];
  lua_pushstring(L, tc_directory_real_path(path, real) == 0 ? real : path);
  return 1;
}

/* --- locks ---------------------------------------------------------------------------------- */

/* What is no handle of ours is the handle of no lock. */
static uint64_t check_handle(lua_State *L, int index) {
  const char *text = luaL_checkstring(L, index);
  char *end;
  uint64_t id = strtoull(text, &end, 10);
  return end > text && *end == '\0' ? id : 0;
}

static int l_filelock_gc(lua_State *L) {
  uint64_t *id = luaL_checkudata(L, 1, LOCK);
  if (*id != 0) tc_filelock_release(*id);
  *id = 0;
  return 0;
}

/* new_lock() -> guard, handle: a lock to be taken with try_lock, here or in another Lua state of
   the process; it ends with unlock, or with the guard */
static int l_filelock_new(lua_State *L) {
  char handle[24];
  uint64_t *id = tc_lua_new_object(L, sizeof *id, LOCK, NULL, l_filelock_gc);
  *id = tc_filelock_reserve();
  if (*id == 0) return luaL_error(L, "not enough memory");
  (void)snprintf(handle, sizeof handle, "%" PRIu64, *id);
  lua_pushstring(L, handle);
  return 2;
}

/* try_lock(path, handle[, any_owner[, part]]) -> true; false, "owed" | nil where it is kept for a
   debt, whether this process itself holds it; nil, err */
static int l_filelock_try(lua_State *L) {
  const char *path = tc_lua_check_path(L, 1);
  uint64_t id = check_handle(L, 2);
  tc_str part = lua_isnoneornil(L, 4) ? TC_STR_NONE : tc_lua_check_str(L, 4);
  tc_error err = TC_ERROR_NONE;
  int status = tc_filelock_try(id, path, part, lua_toboolean(L, 3), &err);
  if (status < 0) return tc_lua_fail(L, &err);
  lua_pushboolean(L, status == 0);
  if (status == 0) return 1;
  lua_pushstring(L, (status & TC_FILELOCK_OWED) != 0 ? "owed" : NULL);
  lua_pushboolean(L, status & TC_FILELOCK_HERE);
  return 3;
}

/* keep_lock(handle) -> true; from now on it is kept for a debt, if it is held */
static int l_filelock_keep(lua_State *L) {
  tc_filelock_keep(check_handle(L, 1));
  lua_pushboolean(L, 1);
  return 1;
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

void tc_lua_open_file(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read", l_file_read},
      {"write", l_file_write},
      {"remove", l_file_remove},
      {"can_replace", l_file_can_replace},
      {"list", l_file_list},
      {"target", l_file_target},
      {"real_path", l_file_real_path},
      {"stamp", l_file_stamp},
      {"new_lock", l_filelock_new},
      {"try_lock", l_filelock_try},
      {"keep_lock", l_filelock_keep},
      {"unlock", l_filelock_unlock},
      {"holds_lock", l_filelock_holds},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "file");
}
