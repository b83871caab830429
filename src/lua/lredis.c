/* tokencache._redis: Redis over hiredis, as a blocking client and as a codec alone. */
#include "backend/redis.h"
#include "backend/redis_error.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lrepeated.h"

#define CLIENT "tokencache.redis"
#define READER "tokencache.redis_reader"

TC_EXPORT int luaopen_tokencache__redis(lua_State *L);

typedef struct l_redis {
  tc_redis *redis;      /* NULL: closed */
  tc_lua_repeated said; /* the last text */
} l_redis;

typedef struct l_reader {
  tc_redis_reader *reader; /* NULL: broken or closed */
} l_reader;

/* The words of a command from `first` to the top, which stay where they are. */
static size_t check_words(lua_State *L, int first, tc_str *words) {
  int count = lua_gettop(L) - first + 1;
  luaL_argcheck(L, count >= 1, first, "a command expected");
  luaL_argcheck(L, count <= TC_REDIS_MOST_ARGUMENTS, first + TC_REDIS_MOST_ARGUMENTS,
                "a command of at most 16 words expected");
  for (int i = 0; i < count; i++) {
    luaL_checktype(L, first + i, LUA_TSTRING);
    words[i].data = lua_tolstring(L, first + i, &words[i].len);
  }
  return (size_t)count;
}

/* An integer, or false for Redis's nil. Frees the reply. */
static void push_textless(lua_State *L, tc_redis_reply *reply) {
  if (reply->type == TC_REDIS_NIL) {
    lua_pushboolean(L, 0);
  } else {
    lua_pushinteger(L, (lua_Integer)reply->integer);
  }
  tc_redis_reply_free(reply);
}

/* client:command(word, ...) -> reply [, "reconnected" | "repeated"]; nil, err */
static int l_redis_command(lua_State *L) {
  static const char *const histories[] = {NULL, "reconnected", "repeated"};
  l_redis *self = tc_lua_check_self(L, CLIENT);
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  size_t count = check_words(L, 2, words);
  tc_redis_history history = TC_REDIS_STRAIGHT;
  tc_redis_reply reply = TC_REDIS_REPLY_NONE;
  tc_error err;
  tc_error_clear(&err);
  tc_lua_ready_buf(L);
  if (self->redis == NULL) return luaL_error(L, "command: the Redis client is closed");
  int status = tc_redis_command(self->redis, words, count, &reply, &history, &err);
  if (status < 0) return tc_lua_fail(L, &err);
  if (reply.type == TC_REDIS_STRING) {
    bool is_repeated = tc_lua_repeat(L, &self->said, reply.text);
    tc_redis_reply_free(&reply);
    if (!is_repeated) tc_lua_push_said(L, &self->said);
  } else {
    push_textless(L, &reply);
    tc_lua_forget_repeated(L, &self->said);
  }
  if (histories[history] == NULL) return 1;
  lua_pushstring(L, histories[history]);
  return 2;
}

/* client:close(), any number of times */
static int l_redis_close(lua_State *L) {
  l_redis *self = tc_lua_check_self(L, CLIENT);
  tc_redis_close(self->redis);
  self->redis = NULL;
  tc_lua_forget_repeated(L, &self->said);
  return 0;
}

static l_redis *new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"command", l_redis_command},
      {"close", l_redis_close},
      {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(l_redis), CLIENT, methods, l_redis_close);
}

/* The field `name` of the table at 1, left on the stack: a finalizer may take it from the table. */
static const char *opt_text(lua_State *L, const char *name, size_t *len) {
  lua_getfield(L, 1, name);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) {
    luaL_error(L, "open: %s must be a string, not %s", name, luaL_typename(L, -1));
  }
  return lua_tolstring(L, -1, len);
}

static tc_str opt_str(lua_State *L, const char *name) {
  tc_str text = TC_STR_NONE;
  text.data = opt_text(L, name, &text.len);
  return text;
}

static double opt_number(lua_State *L, const char *name, double otherwise) {
  lua_getfield(L, 1, name);
  double number = (double)luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return number;
}

static bool opt_boolean(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool is_true = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_true;
}

/* open { place=, host=, port=, path=, tls=, ca_file=, cert_file=, key_file=, username=, password=,
   db=, connect_timeout=, timeout= } -> client, not connected yet. Checked by store/redis.lua. */
static int l_redis_open(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_settop(L, 1);
  const tc_redis_options options = {
      .stream =
          {
              .address =
                  {
                      .host = opt_text(L, "host", NULL),
                      .port = (int)opt_number(L, "port", 6379),
                      .path = opt_text(L, "path", NULL),
                  },
              .tls = opt_boolean(L, "tls"),
              .ca_file = opt_text(L, "ca_file", NULL),
              .cert_file = opt_text(L, "cert_file", NULL),
              .key_file = opt_text(L, "key_file", NULL),
          },
      .place = opt_text(L, "place", NULL),
      .username = opt_str(L, "username"),
      .password = opt_str(L, "password"),
      .db = (int)opt_number(L, "db", 0),
      .connect_timeout = opt_number(L, "connect_timeout", 5),
      .timeout = opt_number(L, "timeout", 5),
  };
  luaL_argcheck(L, options.stream.address.host != NULL || options.stream.address.path != NULL, 1,
                "host or path expected");
  luaL_argcheck(L, options.place != NULL, 1, "place expected");
  tc_error err;
  tc_error_clear(&err);
  l_redis *self = new_closed(L);
  if (tc_redis_open(&self->redis, &options, &err) < 0) return tc_lua_fail(L, &err);
  return 1;
}

/* format(word, ...) -> bytes */
static int l_redis_format(lua_State *L) {
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  size_t count = check_words(L, 1, words);
  tc_error err;
  tc_error_clear(&err);
  if (tc_redis_format(tc_lua_take_buf(L), words, count, &err) < 0) return tc_lua_fail(L, &err);
  tc_lua_push_buf(L);
  return 1;
}

/* server_error(place, text, word, ...) -> err: what the error reply to that command means */
static int l_redis_server_error(lua_State *L) {
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  const char *place = luaL_checkstring(L, 1);
  tc_str text = tc_lua_check_str(L, 2);
  size_t count = check_words(L, 3, words);
  tc_error err;
  tc_error_clear(&err);
  int status = tc_redis_server_error(&err, place, text, words, count);
  if (status == TC_ERR_NOMEM) return luaL_error(L, "not enough memory");
  tc_lua_push_error(L, &err);
  return 1;
}

static void close_reader(l_reader *self) {
  tc_redis_reader_close(self->reader);
  self->reader = NULL;
}

static l_reader *check_reader(lua_State *L) {
  l_reader *self = tc_lua_check_self(L, READER);
  if (self->reader == NULL) luaL_error(L, "the reader is broken; read on with a new one");
  return self;
}

static int fail_reader(lua_State *L, l_reader *self, const tc_error *err) {
  close_reader(self);
  return tc_lua_fail(L, err);
}

/* reader:feed(bytes) -> true; nil, err, and the reader is of no more use */
static int l_reader_feed(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  l_reader *self = check_reader(L);
  tc_error err;
  tc_error_clear(&err);
  int status = tc_redis_reader_feed(self->reader, bytes, len, &err);
  if (status < 0) return fail_reader(L, self, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* reader:get() -> reply [, "error" where it is the server's]; nothing while none has come whole;
   nil, err where the bytes are no reply, and the reader is of no more use */
static int l_reader_get(lua_State *L) {
  tc_redis_reply reply = TC_REDIS_REPLY_NONE;
  tc_error err;
  tc_error_clear(&err);
  tc_lua_ready_buf(L);
  l_reader *self = check_reader(L);
  int status = tc_redis_reader_get(self->reader, &reply, &err);
  if (status < 0) return fail_reader(L, self, &err);
  if (status == 0) return 0;
  bool is_error = reply.type == TC_REDIS_ERROR;
  if (is_error || reply.type == TC_REDIS_STRING) {
    tc_buf_add_str(tc_lua_take_buf(L), reply.text);
    tc_redis_reply_free(&reply);
    tc_lua_push_buf(L);
  } else {
    push_textless(L, &reply);
  }
  if (!is_error) return 1;
  lua_pushliteral(L, "error");
  return 2;
}

/* reader:read(bytes) -> feed and get in one, for the only reply that is waited for: more than that
   is an error */
static int l_reader_read(lua_State *L) {
  l_reader *self = check_reader(L);
  tc_error err;
  tc_error_clear(&err);
  int count = l_reader_feed(L);
  if (self->reader == NULL) return count;
  count = l_reader_get(L);
  if (self->reader == NULL || count == 0) return count;
  return tc_redis_reader_end(self->reader, &err) < 0 ? fail_reader(L, self, &err) : count;
}

static int l_reader_gc(lua_State *L) {
  close_reader(luaL_checkudata(L, 1, READER));
  return 0;
}

/* reader() -> a parser of replies */
static int l_redis_reader(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"feed", l_reader_feed},
      {"get", l_reader_get},
      {"read", l_reader_read},
      {NULL, NULL},
  };
  tc_error err;
  tc_error_clear(&err);
  l_reader *self = tc_lua_new_object(L, sizeof *self, READER, methods, l_reader_gc);
  if (tc_redis_reader_open(&self->reader, &err) < 0) return tc_lua_fail(L, &err);
  return 1;
}

int luaopen_tokencache__redis(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"open", l_redis_open},
      {"reader", l_redis_reader},
      {"server_error", l_redis_server_error},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_createtable(L, 1, 0);
  tc_lua_keep_buf(L);
  lua_pushcclosure(L, l_redis_format, 1);
  lua_setfield(L, -2, "format");
  return 1;
}
