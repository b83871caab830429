#include "lua/lbuf.h"

#include "lua/lclass.h"

#define METATABLE "tokencache.buf"
#define MOST_KEPT 65536 /* bytes of a buffer that waits for the next call */

typedef struct lbuf {
  tc_buf buf; /* first, so that it leads here */
  bool taken;
  bool lasting;   /* finalized for certain: made before the state is closed */
  bool collected; /* finalized: nobody frees it any more */
} lbuf;

/* Where the registry keeps buffers, by address: the first that was made, which lasts, and the last
   of those for calls that find it taken. */
static char places[2];

static int l_buf_free(lua_State *L) {
  lbuf *self = luaL_checkudata(L, 1, METATABLE);
  tc_buf_free(&self->buf);
  self->taken = false;
  self->collected = true;
  return 0;
}

static lbuf *push_kept(lua_State *L, int place) {
  lua_pushlightuserdata(L, &places[place]);
  lua_rawget(L, LUA_REGISTRYINDEX);
  return lua_touserdata(L, -1);
}

/* Pushes a buffer that no call has taken. */
static lbuf *push_free(lua_State *L) {
  bool lasts = true;
  for (int i = 0; i < 2; i++) {
    lbuf *kept = push_kept(L, i);
    if (kept != NULL && !kept->taken) return kept;
    if (kept != NULL) lasts = false;
    lua_pop(L, 1);
  }
  lbuf *self = tc_lua_new_object(L, sizeof *self, METATABLE, NULL, l_buf_free);
  self->lasting = lasts;
  lua_pushlightuserdata(L, &places[lasts ? 0 : 1]);
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
  if (self->collected || !self->lasting || buf->cap > MOST_KEPT) {
    tc_buf_free(buf);
  } else {
    tc_buf_clear(buf);
  }
  self->taken = false;
}

void tc_lua_give_back_bufs(lua_State *L) {
  const lbuf *lasting = push_kept(L, 0), *other = push_kept(L, 1);
  lua_pop(L, 2);
  for (int i = lua_gettop(L); i > 0; i--) {
    lbuf *self = lua_touserdata(L, i);
    if (self != NULL && (self == lasting || self == other)) tc_lua_give_back_buf(&self->buf);
  }
}

int tc_lua_return_buf(lua_State *L, tc_buf *buf) {
  if (buf->failed) return luaL_error(L, "not enough memory");
  tc_str bytes = tc_buf_str(buf);
  lua_pushlstring(L, bytes.data, bytes.len);
  tc_lua_give_back_buf(buf);
  return 1;
}
