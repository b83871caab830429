#include "lua/lbuf.h"

#include "lua/lclass.h"

#define METATABLE "tokencache.buf"
#define MOST_KEPT 65536 /* bytes of a buffer that waits for the next call */

typedef struct lbuf {
  tc_buf buf;
  bool collected; /* finalized: nobody frees it any more */
} lbuf;

static int l_buf_free(lua_State *L) {
  lbuf *self = luaL_checkudata(L, 1, METATABLE);
  tc_buf_free(&self->buf);
  self->collected = true;
  return 0;
}

tc_buf *tc_lua_new_buf(lua_State *L) {
  lbuf *self = tc_lua_new_object(L, sizeof *self, METATABLE, NULL, l_buf_free);
  return &self->buf;
}

void tc_lua_keep_buf(lua_State *L) {
  (void)tc_lua_new_buf(L);
  lua_rawseti(L, -2, 1);
}

int tc_lua_return_buf(lua_State *L, tc_buf *buf) {
  if (buf->failed) return luaL_error(L, "not enough memory");
  tc_str bytes = tc_buf_str(buf);
  lua_pushlstring(L, bytes.data, bytes.len);
  tc_buf_free(buf); /* while the state is closed nothing is finalized any more */
  return 1;
}

tc_buf *tc_lua_take_buf(lua_State *L) {
  lua_rawgeti(L, lua_upvalueindex(1), 1);
  lbuf *kept = lua_touserdata(L, -1);
  if (kept == NULL) {
    lua_pop(L, 1);
    return tc_lua_new_buf(L);
  }
  lua_pushnil(L);
  lua_rawseti(L, lua_upvalueindex(1), 1);
  return &kept->buf;
}

void tc_lua_ready_buf(lua_State *L) {
  lua_rawgeti(L, lua_upvalueindex(1), 1);
  if (lua_isnil(L, -1)) {
    (void)tc_lua_new_buf(L);
    lua_rawseti(L, lua_upvalueindex(1), 1);
  }
  lua_pop(L, 1);
}

void tc_lua_push_buf(lua_State *L) {
  int taken = lua_gettop(L);
  const lbuf *self = lua_touserdata(L, taken);
  if (self->buf.failed) (void)luaL_error(L, "not enough memory");
  tc_str bytes = tc_buf_str(&self->buf);
  lua_pushlstring(L, bytes.data, bytes.len);
  tc_lua_give_buf_back(L, taken);
  lua_replace(L, taken);
}

void tc_lua_give_buf_back(lua_State *L, int index) {
  lbuf *self = lua_touserdata(L, index);
  if (self->collected || self->buf.cap > MOST_KEPT) {
    tc_buf_free(&self->buf);
  } else {
    tc_buf_clear(&self->buf);
  }
  lua_pushvalue(L, index);
  lua_rawseti(L, lua_upvalueindex(1), 1);
}
