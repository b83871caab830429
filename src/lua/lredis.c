/* tokencache._redis: Redis as a blocking client, and as a conversation for who moves the bytes. */
#include "backend/redis.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lint64.h"
#include "lua/lrepeated.h"

#define CLIENT "tokencache.redis"
#define KNOWN "tokencache.redis_known"
#define TALK "tokencache.redis_talk"

TC_EXPORT int luaopen_tokencache__redis(lua_State *L);

/* The options' texts are kept by the uservalue. */
typedef struct l_redis {
  tc_redis redis;
  bool is_open;
  tc_lua_repeated said; /* the last text */
} l_redis;

/* What is known of the server is kept by the uservalue. */
typedef struct l_talk {
  tc_redis_talk talk;
  tc_redis_known *known; /* NULL: closed */
} l_talk;

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

/* --- replies --------------------------------------------------------------------------------- */

/* Pushes the note that goes with a reply, if any; returns how many values there are then. */
static int push_history(lua_State *L, tc_redis_history history) {
  static const char *const histories[] = {NULL, "reconnected", "repeated"};
  if (histories[history] == NULL) return 1;
  lua_pushstring(L, histories[history]);
  return 2;
}

/* A text, an integer, or false for Redis's nil. */
static void push_reply(lua_State *L, const tc_redis_reply *reply) {
  if (reply->type == TC_REDIS_STRING) {
    lua_pushlstring(L, reply->text.data, reply->text.len);
  } else if (reply->type == TC_REDIS_INTEGER) {
    tc_lua_push_int64(L, reply->integer);
  } else {
    lua_pushboolean(L, 0);
  }
}

/* --- options --------------------------------------------------------------------------------- */

/* The field `name` of the table at 1, which the table at 2 keeps from now on: it lives as long as
   what is made. */
static const char *keep_text(lua_State *L, int from, const char *name, size_t *len) {
  lua_getfield(L, from, name);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) {
    luaL_error(L, "open: %s must be a string, not %s", name, luaL_typename(L, -1));
  }
  const char *text = lua_tolstring(L, -1, len);
  lua_pushboolean(L, 1);
  if (text != NULL) {
    lua_rawset(L, 2); /* a set of texts */
  } else {
    lua_pop(L, 2);
  }
  return text;
}

static tc_str keep_str(lua_State *L, const char *name) {
  tc_str text = TC_STR_NONE;
  text.data = keep_text(L, 1, name, &text.len);
  return text;
}

static double opt_number(lua_State *L, int from, const char *name, double otherwise) {
  lua_getfield(L, from, name);
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

static tc_dial_address read_address(lua_State *L, int from) {
  return (tc_dial_address){
      .host = keep_text(L, from, "host", NULL),
      .port = (int)opt_number(L, from, "port", 6379),
      .path = keep_text(L, from, "path", NULL),
  };
}

/* A list of addresses; returns how many there are. */
static size_t read_addresses(lua_State *L, const char *name, tc_dial_address *to) {
  lua_getfield(L, 1, name);
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  luaL_argcheck(L, count <= TC_REDIS_MOST_SENTINELS, 1, "at most 16 addresses expected");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    to[i] = read_address(L, lua_gettop(L));
    luaL_argcheck(L, to[i].host != NULL && strlen(to[i].host) < TC_REDIS_HOST_SIZE, 1,
                  "a host of less than 256 bytes expected");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return count;
}

/* Begins a function that takes options at 1, as store/redis_options.lua makes them, and makes an
   object of them: leaves what keeps the texts at 2. */
static void read_options(lua_State *L, tc_redis_options *options) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_settop(L, 1);
  lua_newtable(L);
  *options = (tc_redis_options){
      .place = keep_text(L, 1, "place", NULL),
      .address = read_address(L, 1),
      .username = keep_str(L, "username"),
      .password = opt_boolean(L, "asks_password") ? TC_STR_NONE : keep_str(L, "password"),
      .asks_password = opt_boolean(L, "asks_password"),
      .db = (int)opt_number(L, 1, "db", 0),
      .replicas = (int)opt_number(L, 1, "replicas", 0),
      .connect_timeout = opt_number(L, 1, "connect_timeout", 5),
      .timeout = opt_number(L, 1, "timeout", 5),
      .master = keep_str(L, "master"),
      .sentinel_username = keep_str(L, "sentinel_username"),
      .sentinel_password = keep_str(L, "sentinel_password"),
  };
  options->sentinel_count = read_addresses(L, "sentinels", options->sentinels);
  options->seed_count = read_addresses(L, "cluster", options->seeds);
  luaL_argcheck(L,
                options->sentinel_count > 0 || options->seed_count > 0 ||
                    options->address.host != NULL || options->address.path != NULL,
                1, "host or path expected");
  luaL_argcheck(L, options->place != NULL, 1, "place expected");
}

/* Of the new object on the top, whose options' texts the table at 2 keeps. */
static void keep_texts(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_setuservalue(L, -2);
}

/* --- the blocking client --------------------------------------------------------------------- */

static l_redis *check_client(lua_State *L, const char *what) {
  l_redis *self = tc_lua_check_self(L, CLIENT);
  if (!self->is_open) luaL_error(L, "%s: the Redis client is closed", what);
  return self;
}

/* client:command(word, ...) -> reply [, "reconnected" | "repeated"]; nil, err; or nil, "password",
   is_refused: nothing was sent, and a password is to be given before the command comes again */
static int l_redis_command(lua_State *L) {
  l_redis *self = check_client(L, "command");
  tc_redis_talk *talk = &self->redis.talk;
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  size_t count = check_words(L, 2, words);
  tc_lua_ready_buf(L);
  bool is_done = tc_redis_command(&self->redis, words, count);
  tc_redis_history history = talk->history; /* a finalizer may use the client */
  if (!is_done) {
    bool is_refused = talk->is_refused;
    tc_redis_talk_end(talk);
    lua_pushnil(L);
    lua_pushliteral(L, "password");
    lua_pushboolean(L, is_refused);
    return 3;
  }
  if (talk->status < 0) {
    tc_error err = talk->err;
    tc_redis_talk_end(talk);
    return tc_lua_fail(L, &err);
  }
  if (talk->reply.type == TC_REDIS_STRING) {
    bool is_repeated = tc_lua_repeat(L, &self->said, talk->reply.text);
    tc_redis_talk_end(talk);
    if (!is_repeated) tc_lua_push_said(L, &self->said);
  } else {
    push_reply(L, &talk->reply);
    tc_redis_talk_end(talk);
    tc_lua_forget_repeated(L, &self->said);
  }
  return push_history(L, history);
}

/* client:give_password(text), for the next connection */
static int l_redis_give_password(lua_State *L) {
  l_redis *self = check_client(L, "give_password");
  tc_redis_talk_give_password(&self->redis.talk, tc_lua_check_str(L, 2), 0);
  return 0;
}

/* client:close(), any number of times */
static int l_redis_close(lua_State *L) {
  l_redis *self = tc_lua_check_self(L, CLIENT);
  if (!self->is_open) return 0;
  self->is_open = false;
  tc_redis_close(&self->redis);
  tc_lua_forget_repeated(L, &self->said);
  return 0;
}

/* open(options) -> client, not connected yet */
static int l_redis_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"command", l_redis_command},
      {"give_password", l_redis_give_password},
      {"close", l_redis_close},
      {NULL, NULL},
  };
  tc_redis_options options;
  read_options(L, &options);
  const tc_stream_options stream = {
      .tls = opt_boolean(L, "tls"),
      .ca_file = keep_text(L, 1, "ca_file", NULL),
      .cert_file = keep_text(L, 1, "cert_file", NULL),
      .key_file = keep_text(L, 1, "key_file", NULL),
  };
  bool sentinel_tls = opt_boolean(L, "sentinel_tls");
  l_redis *self = tc_lua_new_object(L, sizeof *self, CLIENT, methods, l_redis_close);
  keep_texts(L);
  self->redis.known.options = options;
  self->redis.stream = self->redis.sentinel_stream = stream;
  self->redis.sentinel_stream.tls = sentinel_tls;
  self->is_open = true;
  return 1;
}

/* --- conversations for who moves the bytes --------------------------------------------------- */

/* Ends a binding: what is to be done next, in so many seconds.

   "use", seconds, host, port, is_sentinel, generation, may_keep; a path and nil for a Unix socket.
      may_keep: the last connection, if there is one
   "send", seconds, bytes         and then "receive"
   "receive", seconds
   "sleep", seconds
   "password", seconds, is_refused
   "done", may_keep, reply [, "reconnected" | "repeated"]; "done", may_keep, nil, err */
static int push_action(lua_State *L, tc_redis_talk *talk, double now) {
  static const char *const names[] = {"use", "send", "receive", "sleep", "password", "done"};
  lua_pushstring(L, names[talk->action]);
  if (talk->action == TC_REDIS_DONE) {
    lua_pushboolean(L, talk->may_keep);
    int count = 2;
    if (talk->status < 0) {
      tc_error err = talk->err;
      count += tc_lua_fail(L, &err);
    } else {
      push_reply(L, &talk->reply);
      count += push_history(L, talk->history);
    }
    tc_redis_talk_end(talk);
    return count;
  }
  lua_pushnumber(L, talk->deadline - now);
  if (talk->action == TC_REDIS_SEND) {
    lua_pushlstring(L, talk->bytes.data, talk->bytes.len);
    return 3;
  } else if (talk->action == TC_REDIS_PASSWORD) {
    lua_pushboolean(L, talk->is_refused);
    return 3;
  } else if (talk->action != TC_REDIS_USE) {
    return 2;
  }
  const tc_dial_address *address = &talk->address;
  lua_pushstring(L, address->path != NULL ? address->path : address->host);
  if (address->path != NULL) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, address->port);
  }
  lua_pushboolean(L, talk->is_sentinel);
  lua_pushnumber(L, talk->generation);
  if (!talk->may_keep) return 6;
  lua_pushboolean(L, 1);
  return 7;
}

/* In the middle of a command. */
static tc_redis_talk *check_talk(lua_State *L) {
  l_talk *self = tc_lua_check_self(L, TALK);
  if (self->known == NULL || self->talk.action == TC_REDIS_DONE) {
    luaL_error(L, "the conversation waits for nothing");
  }
  return &self->talk;
}

/* talk:begin(now, word, ...) -> action, ... */
static int l_talk_begin(lua_State *L) {
  l_talk *self = tc_lua_check_self(L, TALK);
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  double now = (double)luaL_checknumber(L, 2);
  size_t count = check_words(L, 3, words);
  if (self->known == NULL) return luaL_error(L, "the conversation is closed");
  tc_redis_talk_begin(&self->talk, self->known, words, count, now);
  return push_action(L, &self->talk, now);
}

/* talk:go_on(now, result) -> action, ...; the last action's result: of "use" whether the connection
   is new, of "send" and "receive" the bytes, of "password" the text */
static int l_talk_go_on(lua_State *L) {
  tc_redis_talk *talk = check_talk(L);
  double now = (double)luaL_checknumber(L, 2);
  if (talk->action == TC_REDIS_USE) {
    tc_redis_talk_connected(talk, lua_toboolean(L, 3), now);
  } else if (talk->action == TC_REDIS_SLEEP) {
    tc_redis_talk_slept(talk, now);
  } else {
    tc_str text = tc_lua_check_str(L, 3);
    if (talk->action == TC_REDIS_PASSWORD) {
      tc_redis_talk_give_password(talk, text, now);
    } else {
      tc_redis_talk_received(talk, text.data, text.len, now);
    }
  }
  return push_action(L, talk, now);
}

/* talk:failed(code, message, remedy | nil, now) -> action, ...: the connection that was used, or
   could not be made, is closed. code: "CONNECT", "CLOSED", "TIMEOUT" or "TLS" */
static int l_talk_failed(lua_State *L) {
  static const char *const codes[] = {"CONNECT", "CLOSED", "TIMEOUT", "TLS", NULL};
  static const int numbers[] = {TC_ERR_CONNECT, TC_ERR_NETWORK, TC_ERR_TIMEOUT, TC_ERR_TLS};
  tc_redis_talk *talk = check_talk(L);
  int number = numbers[luaL_checkoption(L, 2, NULL, codes)];
  tc_error cause = TC_ERROR_NONE;
  (void)tc_error_set(&cause, number, "%s", luaL_checkstring(L, 3));
  const char *remedy = luaL_optstring(L, 4, NULL);
  double now = (double)luaL_checknumber(L, 5);
  tc_redis_talk_failed(talk, &cause, remedy, now);
  return push_action(L, talk, now);
}

static int l_talk_gc(lua_State *L) {
  l_talk *self = luaL_checkudata(L, 1, TALK);
  if (self->known != NULL) tc_redis_talk_free(&self->talk);
  self->known = NULL;
  return 0;
}

/* known:talk() -> a conversation, for one command after the other */
static int l_known_talk(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"begin", l_talk_begin},
      {"go_on", l_talk_go_on},
      {"failed", l_talk_failed},
      {NULL, NULL},
  };
  tc_redis_known *known = tc_lua_check_self(L, KNOWN);
  lua_settop(L, 1);
  l_talk *self = tc_lua_new_object(L, sizeof *self, TALK, methods, l_talk_gc);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
  self->talk.action = TC_REDIS_DONE;
  self->known = known;
  return 1;
}

static int l_known_gc(lua_State *L) {
  tc_redis_known *known = luaL_checkudata(L, 1, KNOWN); /* its texts are the uservalue's */
  tc_redis_cluster_free(&known->cluster);
  return 0;
}

/* known(options) -> what conversations with the same server share */
static int l_redis_known(lua_State *L) {
  static const luaL_Reg methods[] = {{"talk", l_known_talk}, {NULL, NULL}};
  tc_redis_options options;
  read_options(L, &options);
  tc_redis_known *self = tc_lua_new_object(L, sizeof *self, KNOWN, methods, l_known_gc);
  keep_texts(L);
  self->options = options;
  return 1;
}

int luaopen_tokencache__redis(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"open", l_redis_open},
      {"known", l_redis_known},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
