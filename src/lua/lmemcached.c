/* tokencache._memcached: a client of memcached servers, which needs libmemcached. */
#include "backend/memcached.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lrepeated.h"

#define METATABLE "tokencache.memcached"
#define MOST_SERVERS 1024

TC_EXPORT int luaopen_tokencache__memcached(lua_State *L);

typedef struct l_memcached {
  tc_memcached *memcached; /* NULL: closed */
  tc_lua_repeated said;    /* the last value */
} l_memcached;

static tc_memcached *open_one(lua_State *L, const l_memcached *self) {
  if (self->memcached == NULL) luaL_error(L, "memcached: the client is closed");
  return self->memcached;
}

static tc_memcached *check_open(lua_State *L) {
  return open_one(L, tc_lua_check_self(L, METATABLE));
}

/* No number: to make a string of one lets finalizers run, and they may close the client. */
static tc_str check_str(lua_State *L, int index) {
  tc_str text;
  luaL_checktype(L, index, LUA_TSTRING);
  text.data = lua_tolstring(L, index, &text.len);
  return text;
}

static tc_str check_key(lua_State *L, const tc_memcached *memcached) {
  tc_str key = check_str(L, 2);
  luaL_argcheck(L, key.len > 0, 2, "key is empty");
  luaL_argcheck(L, key.len <= tc_memcached_longest_key(memcached), 2, "key is too long");
  bool is_printable = true;
  for (size_t i = 0; i < key.len; i++) {
    unsigned char c = (unsigned char)key.data[i];
    is_printable &= c > 0x20 && c != 0x7F;
  }
  luaL_argcheck(L, is_printable, 2, "key holds a blank or a control character");
  return key;
}

/* Absent is for ever; a NaN is over at once, as whatever is not above zero. */
static double check_ttl(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return TC_MEMCACHED_FOR_EVER;
  double ttl = (double)luaL_checknumber(L, index);
  return ttl > 0 ? ttl : 0;
}

/* What every call returns beside its result: "reconnected" where a connection was made anew within
   it; else nothing. */
static int with_note(lua_State *L, bool reconnected) {
  if (!reconnected) return 1;
  lua_pushliteral(L, "reconnected");
  return 2;
}

static int push_outcome(lua_State *L, const tc_memcached *memcached, int number,
                        const tc_error *err) {
  if (number < 0) return tc_lua_fail(L, err);
  lua_pushboolean(L, number == 0);
  return with_note(L, tc_memcached_reconnected(memcached));
}

/* client:get(key) -> bytes; false if there is no such entry; nil, err */
static int l_memcached_get(lua_State *L) {
  l_memcached *self = tc_lua_check_self(L, METATABLE);
  tc_str value, key = check_key(L, open_one(L, self));
  tc_error err;
  tc_error_clear(&err);
  tc_lua_ready_buf(L);
  tc_memcached *memcached = open_one(L, self);
  int number = tc_memcached_get(memcached, key, &value, NULL, &err);
  if (number < 0) return tc_lua_fail(L, &err);
  bool reconnected = tc_memcached_reconnected(memcached);
  if (number == TC_MEMCACHED_MISSING) {
    tc_lua_forget_repeated(L, &self->said);
    lua_pushboolean(L, 0);
  } else if (!tc_lua_repeat(L, &self->said, value)) {
    tc_lua_push_said(L, &self->said);
  }
  return with_note(L, reconnected);
}

/* client:gets(key) -> bytes, version; false if there is no such entry; nil, err. The version is
   eight bytes for cas; nil if the server keeps none. */
static int l_memcached_gets(lua_State *L) {
  const l_memcached *self = tc_lua_check_self(L, METATABLE);
  tc_str value, key = check_key(L, open_one(L, self));
  uint64_t version;
  tc_error err;
  tc_error_clear(&err);
  tc_lua_ready_buf(L);
  int number = tc_memcached_get(open_one(L, self), key, &value, &version, &err);
  if (number < 0) return tc_lua_fail(L, &err);
  if (number == TC_MEMCACHED_MISSING) {
    lua_pushboolean(L, 0);
    return 1;
  }
  tc_buf *bytes = tc_lua_take_buf(L);
  tc_buf_add_str(bytes, value);
  (void)tc_lua_return_buf(L, bytes);
  if (version == 0) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, (const char *)&version, sizeof version);
  }
  return 2;
}

/* client:set(key, bytes, ttl | nil) -> true; nil, err */
static int l_memcached_set(lua_State *L) {
  tc_memcached *memcached = check_open(L);
  tc_error err;
  tc_error_clear(&err);
  tc_str key = check_key(L, memcached), value = check_str(L, 3);
  int number = tc_memcached_set(memcached, key, value, check_ttl(L, 4), &err);
  return push_outcome(L, memcached, number, &err);
}

/* client:add(key, bytes, ttl | nil) -> true; false if there is such an entry; nil, err */
static int l_memcached_add(lua_State *L) {
  tc_memcached *memcached = check_open(L);
  tc_error err;
  tc_error_clear(&err);
  tc_str key = check_key(L, memcached), value = check_str(L, 3);
  int number = tc_memcached_add(memcached, key, value, check_ttl(L, 4), &err);
  return push_outcome(L, memcached, number, &err);
}

/* client:cas(key, bytes, ttl | nil, version) -> true; false if it has changed or is gone; nil, err
 */
static int l_memcached_cas(lua_State *L) {
  tc_memcached *memcached = check_open(L);
  tc_error err;
  tc_error_clear(&err);
  uint64_t version;
  tc_str key = check_key(L, memcached), value = check_str(L, 3), bytes = check_str(L, 5);
  luaL_argcheck(L, bytes.len == sizeof version, 5, "version is none that gets returned");
  memcpy(&version, bytes.data, sizeof version);
  int number = tc_memcached_cas(memcached, key, value, check_ttl(L, 4), version, &err);
  return push_outcome(L, memcached, number, &err);
}

/* client:delete(key) -> true; false if there is no such entry; nil, err */
static int l_memcached_delete(lua_State *L) {
  l_memcached *self = tc_lua_check_self(L, METATABLE);
  tc_memcached *memcached = open_one(L, self);
  tc_error err;
  tc_error_clear(&err);
  int number = tc_memcached_delete(memcached, check_key(L, memcached), &err);
  tc_lua_forget_repeated(L, &self->said);
  return push_outcome(L, memcached, number, &err);
}

/* client:longest_key() -> bytes */
static int l_memcached_longest_key(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tc_memcached_longest_key(check_open(L)));
  return 1;
}

/* client:close(), any number of times */
static int l_memcached_close(lua_State *L) {
  l_memcached *self = tc_lua_check_self(L, METATABLE);
  tc_memcached_close(self->memcached);
  self->memcached = NULL;
  tc_lua_forget_repeated(L, &self->said);
  return 0;
}

static l_memcached *new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get", l_memcached_get},
      {"gets", l_memcached_gets},
      {"set", l_memcached_set},
      {"add", l_memcached_add},
      {"cas", l_memcached_cas},
      {"delete", l_memcached_delete},
      {"longest_key", l_memcached_longest_key},
      {"close", l_memcached_close},
      {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(l_memcached), METATABLE, methods, l_memcached_close);
}

/* Fills the list with texts that belong to the table at 1. Nothing is allocated here. */
static void check_servers(lua_State *L, const char **servers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1, "servers must be strings");
    servers[i] = lua_tostring(L, -1);
    luaL_argcheck(L, strlen(servers[i]) == lua_rawlen(L, -1), 1, "a server holds a NUL byte");
    lua_pop(L, 1);
  }
}

/* open(servers, options | nil, timeout, connect_timeout[, flags]) -> client; nil, err. No I/O. */
static int l_memcached_open(lua_State *L) {
  tc_memcached_options options = {
      .options = luaL_optstring(L, 2, NULL),
      .timeout = (double)luaL_checknumber(L, 3),
      .connect_timeout = (double)luaL_checknumber(L, 4),
      .flags = (uint32_t)luaL_optinteger(L, 5, 0),
  };
  tc_error err;
  tc_error_clear(&err);
  luaL_checktype(L, 1, LUA_TTABLE);
  options.server_count = lua_rawlen(L, 1);
  luaL_argcheck(L, options.server_count <= MOST_SERVERS, 1, "too many servers");
  const char **servers = lua_newuserdata(L, (options.server_count + 1) * sizeof *servers);
  l_memcached *self = new_closed(L);
  check_servers(L, servers, options.server_count); /* last: a finalizer may empty the table */
  options.servers = servers;
  if (tc_memcached_open(&self->memcached, &options, &err) < 0) return tc_lua_fail(L, &err);
  return 1;
}

int luaopen_tokencache__memcached(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_memcached_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
