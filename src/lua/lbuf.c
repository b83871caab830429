#include "lua/lbuf.h"

#include "lua/lclass.h"

#define METATABLE "tokencache.buf"
#define MOST_KEPT 65536 /* bytes of a buffer that waits for the next call */

typedef struct lbuf {
  tc_buf buf; /* first, so that it leads here */
  bool taken;
  bool collected; /* finalized: nobody frees it any more */
} lbuf;

static char spare; /* its address is where the registry keeps the buffer that was made last */

static int l_buf_free(lua_State *L) {
  lbuf *self = luaL_checkudata(L, 1, METATABLE);
  tc_buf_free(&self->buf);
  self->taken = false;
  self->collected = true;
  return 0;
}

/* Pushes a buffer that no call has taken. */
static lbuf *push_free(lua_State *L) {
  lua_pushlightuserdata(L, &spare);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lbuf *self = lua_touserdata(L, -1);
  if (self != NULL && !self->taken) return self;
  lua_pop(L, 1);
  self = tc_lua_new_object(L, sizeof *self, METATABLE, NULL, l_buf_free);
  lua_pushlightuserdata(L, &spare);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return self;
}

void tc_lua_ready_buf(lua_State *L) {
  (void)push_free(L);
  lua_pop(L, 1);
}

tc_buf *tc_lua_take_buf(lua_State *L) {
  lbuf *self = push_free(L);
  self->taken = true;
  return &self->buf;
}

void tc_lua_give_back_buf(tc_buf *buf) {
  lbuf *self = (lbuf *)buf;
  if (self->collected || buf->cap > MOST_KEPT) {
    tc_buf_free(buf);
  } else {
    tc_buf_clear(buf);
  }
  self->taken = false;
}

int tc_lua_return_buf(lua_State *L, tc_buf *buf) {
  if (buf->failed) return luaL_error(L, "not enough memory");
  tc_str bytes = tc_buf_str(buf);
  lua_pushlstring(L, bytes.data, bytes.len);
  tc_lua_give_back_buf(buf);
  return 1;
}
