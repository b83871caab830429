#include "backend/clock.h"
#include "core/engine.h"
#include "core/retry_after.h"
#include "lua/lclass.h"
#include "lua/lclient.h"
#include "lua/lerror.h"
#include "lua/lint64.h"
#include "lua/lparts.h"
#include "lua/ltoken.h"

#define METATABLE "tokencache.engine"

typedef struct lengine {
  tc_engine engine;
  const tc_client *client; /* kept in memory by the uservalue */
  tc_action due;           /* the action whose result is awaited */
  bool collected;          /* finalized: nobody erases any more what it holds */
} lengine;

static lengine *check(lua_State *L) {
  return tc_lua_check_self(L, METATABLE);
}

static void push_origin(lua_State *L, tc_origin origin) {
  static const char *const names[] = {[TC_FROM_NOWHERE] = NULL,
                                      [TC_FROM_GIVEN] = "given",
                                      [TC_FROM_CACHE] = "cache",
                                      [TC_FROM_ANSWER] = "answer"};
  lua_pushstring(L, names[origin]);
}

static void push_error(lua_State *L, const tc_error *err) {
  if (err->number == 0) {
    lua_pushnil(L);
  } else {
    tc_lua_push_error(L, err);
  }
}

/* What belongs to the action; returns how many values. */
static int push_arguments(lua_State *L, const tc_engine *engine, tc_action action) {
  switch (action) {
  case TC_ACTION_LOAD:
    lua_pushboolean(L, tc_engine_token_is_dead(engine));
    return 1;
  case TC_ACTION_LOCK:
    lua_pushnumber(L, engine->seconds);
    return 1;
  case TC_ACTION_SLEEP:
    lua_pushnumber(L, engine->seconds);
    lua_pushboolean(L, tc_engine_token_is_dead(engine));
    return 2;
  case TC_ACTION_REQUEST:
    lua_pushstring(L, engine->client->token_url);
    tc_lua_push_string(L, tc_buf_str(&engine->request.body));
    lua_pushnumber(L, engine->request.deadline - engine->clocks.monotonic);
    lua_pushnumber(L, engine->request.deadline);
    push_origin(L, engine->request.renewed);
    return 5;
  case TC_ACTION_SAVE:
    lua_pushboolean(L, engine->request.rotated);
    return 1;
  case TC_ACTION_RETURN:
    push_origin(L, engine->best.origin);
    push_error(L, &engine->error);
    return 2;
  case TC_ACTION_FAIL:
    push_error(L, &engine->error);
    lua_pushboolean(L, tc_engine_code_is_unused(engine));
    return 2;
  case TC_ACTION_UNLOCK:
    push_error(L, &engine->error);
    return 1;
  case TC_ACTION_DISCOVER:
  case TC_ACTION_PROBE:
  case TC_ACTION_REMOVE:
  case TC_ACTION_AUTHORIZE:
    break;
  }
  return 0;
}

/* An action is its name and what belongs to it:
   "load", whether the refresh token sent is dead; "unlock", error so far | nil; "remove";
   "authorize"; "discover"; "probe"; "lock", seconds; "sleep", seconds, as "load"; "request", url,
   body, timeout, deadline, origin of what it renews | nil; "save", whether
   nothing but its refresh token is new; "return", origin, error | nil; "fail", error, whether the
   code is unused */
static int push_action(lua_State *L, lengine *self, tc_action action) {
  static const char *const names[] = {
      [TC_ACTION_LOAD] = "load",       [TC_ACTION_DISCOVER] = "discover",
      [TC_ACTION_LOCK] = "lock",       [TC_ACTION_SLEEP] = "sleep",
      [TC_ACTION_REQUEST] = "request", [TC_ACTION_AUTHORIZE] = "authorize",
      [TC_ACTION_SAVE] = "save",       [TC_ACTION_REMOVE] = "remove",
      [TC_ACTION_UNLOCK] = "unlock",   [TC_ACTION_PROBE] = "probe",
      [TC_ACTION_RETURN] = "return",   [TC_ACTION_FAIL] = "fail"};
  if (self->engine.error.number == TC_ERR_NOMEM) return luaL_error(L, "not enough memory");
  self->due = action;
  lua_settop(L, 1);
  lua_pushstring(L, names[action]);
  return 1 + push_arguments(L, &self->engine, action);
}

/* engine:complete(info) -> info: while a new token is to be saved, puts into its token_info what is
   known of it, and takes away what is not */
static int l_engine_complete(lua_State *L) {
  const lengine *self = check(L);
  luaL_argcheck(L, self->due == TC_ACTION_SAVE, 1, "the engine is not waiting for a save");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  tc_lua_complete(L, 2, &self->engine.best.token);
  return 1;
}

/* engine:close(): erases what it holds; the second call does nothing */
static int l_engine_close(lua_State *L) {
  lengine *self = check(L);
  tc_engine_free(&self->engine);
  self->due = TC_ACTION_FAIL;
  return 0;
}

static int l_engine_gc(lua_State *L) {
  lengine *self = luaL_checkudata(L, 1, METATABLE);
  self->collected = true;
  return l_engine_close(L);
}

static void push_class(lua_State *L);

/* new_engine(client) -> engine, for one run */
static int l_engine_new(lua_State *L) {
  const tc_client *client = tc_lua_check_client(L, 1);
  lua_settop(L, 1);
  lengine *self = lua_newuserdata(L, sizeof *self);
  *self = (lengine){.engine = TC_ENGINE_EMPTY, .client = client, .due = TC_ACTION_FAIL};
  push_class(L);
  lua_setmetatable(L, 2);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 3, 1);
  lua_setuservalue(L, 2);
  return 1;
}

/* At the indexes 2 and 3; nil, nil: the system's, read now. */
static tc_clocks read_clocks(lua_State *L) {
  if (lua_isnil(L, 2)) return (tc_clocks){tc_unix_time(), tc_monotonic()};
  return (tc_clocks){luaL_checknumber(L, 2), luaL_checknumber(L, 3)};
}

static lua_Number number_option(lua_State *L, const char *name) {
  lua_getfield(L, 4, name);
  lua_Number value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

static bool is_set(lua_State *L, const char *name) {
  lua_getfield(L, 4, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* engine:start(now | nil, monotonic | nil, options [, <token given>]) -> action
   options: timeout and request_time, earlier (seconds), forced, lockless, authorized, refused
   (a string): see tc_engine_options */
static int l_engine_start(lua_State *L) {
  lengine *self = check(L);
  tc_clocks clocks = read_clocks(L);
  luaL_checktype(L, 4, LUA_TTABLE);
  luaL_argcheck(L, self->engine.client == NULL, 1, "the engine is at work");
  if (self->collected) return tc_lua_fail_collected(L);
  tc_lua_check_open(L, self->client);
  lua_settop(L, 4 + TC_LUA_TOKEN_VALUES);
  tc_token given = tc_lua_read_token(L, 5);
  tc_engine_options options = {
      .timeout = number_option(L, "timeout"),
      .request_time = number_option(L, "request_time"),
      .earlier = number_option(L, "earlier"),
      .forced = is_set(L, "forced"),
      .lockless = is_set(L, "lockless"),
      .authorized = is_set(L, "authorized"),
      .given = given.refresh_token.len > 0 ? &given : NULL,
  };
  lua_getfield(L, 4, "refused");
  options.refused = tc_lua_read_string(L, -1);
  return push_action(L, self, tc_engine_start(&self->engine, self->client, &options, clocks));
}

static tc_value read_value(lua_State *L, int index) {
  tc_value value = {.type = TC_VALUE_OTHER};
  int64_t large;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TLIGHTUSERDATA: /* JSON's null */
    value.type = TC_VALUE_ABSENT;
    break;
  case LUA_TSTRING:
    value.type = TC_VALUE_STRING;
    value.string.data = lua_tolstring(L, index, &value.string.len);
    break;
  case LUA_TNUMBER:
    value.type = TC_VALUE_NUMBER;
    value.number = lua_tonumber(L, index);
    break;
  case LUA_TUSERDATA: /* JSON's integers beyond 2^53 on Lua 5.1 */
    if (tc_lua_get_int64(L, index, &large)) {
      value.type = TC_VALUE_NUMBER;
      value.number = (double)large;
    }
    break;
  default:
    break;
  }
  return value;
}

static tc_value get_value(lua_State *L, int object, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, object);
  return read_value(L, -1);
}

/* status, Retry-After, the body's object or nil, the end that it states elsewhere than in
   expires_in or nil, whether it calls the refresh token dead, what is wrong with reading it or nil;
   pushes what the response borrows from */
static tc_token_response read_response(lua_State *L, int first, double now) {
  tc_value retry_after = read_value(L, first + 1);
  int object = first + 2;
  tc_token_response response = {
      .status = (int)luaL_checknumber(L, first),
      .retry_after = -1,
      .ends_at = lua_tonumber(L, first + 3),
      .is_dead = lua_toboolean(L, first + 4),
      .problem = tc_lua_read_string(L, first + 5),
      .is_object = lua_istable(L, object),
  };
  if (retry_after.type == TC_VALUE_STRING) {
    response.retry_after = tc_retry_after_parse(retry_after.string, now);
  }
  if (response.is_object) {
    response.access_token = get_value(L, object, "access_token");
    response.token_type = get_value(L, object, "token_type");
    response.expires_in = get_value(L, object, "expires_in");
    response.refresh_token = get_value(L, object, "refresh_token");
    response.scope = get_value(L, object, "scope");
    response.error = get_value(L, object, "error");
    response.error_description = get_value(L, object, "error_description");
  }
  return response;
}

/* kind, message, and whether the request cannot have been sent */
static tc_error read_failure(lua_State *L, int first) {
  tc_error err = TC_ERROR_NONE;
  const char *kind = luaL_checkstring(L, first);
  tc_str message = read_value(L, first + 1).string;
  (void)tc_error_set(&err, TC_ERR_NETWORK, NULL);
  if (message.len > 0) tc_error_copy_foreign(err.message, sizeof err.message, message);
  tc_kind_find(kind, &err.kind);
  return err;
}

/* engine:resume(now | nil, monotonic | nil, "ok"|"none"|"failed", ...) -> action
   What follows the outcome belongs to the action: after an ok "load" the token; after an ok
   "request" the response and what was sent, see hide; after an ok "authorize" the code, its
   redirect URI and verifier, or as after a request; after a failed one of these, a failed discover
   or sleep, or a failed lock that ends the run, its kind, message and, for a request, whether it
   was unsent and what was sent. */
static int l_engine_resume(lua_State *L) {
  static const char *const outcomes[] = {"ok", "none", "failed", NULL};
  lengine *self = check(L);
  tc_token token = TC_TOKEN_NONE;
  tc_token_response response = {0};
  tc_error error;
  tc_result result = {
      .clocks = read_clocks(L),
      .outcome = (tc_outcome)luaL_checkoption(L, 4, NULL, outcomes),
  };
  bool is_waiting = self->due != TC_ACTION_RETURN && self->due != TC_ACTION_FAIL;
  if (!is_waiting && self->collected) return tc_lua_fail_collected(L);
  luaL_argcheck(L, is_waiting, 1, "the engine is not waiting for a result");
  tc_lua_check_open(L, self->client);
  lua_settop(L, 4 + TC_LUA_TOKEN_VALUES);
  if (self->due == TC_ACTION_LOAD && result.outcome == TC_OK) {
    token = tc_lua_read_token(L, 5);
    result.token = &token;
  } else if (self->due == TC_ACTION_AUTHORIZE && result.outcome == TC_OK &&
             lua_type(L, 5) != LUA_TNUMBER) {
    result.credential.code = tc_lua_read_string(L, 5);
    result.credential.redirect_uri = tc_lua_read_string(L, 6);
    result.credential.code_verifier = tc_lua_read_string(L, 7);
  } else if ((self->due == TC_ACTION_REQUEST || self->due == TC_ACTION_AUTHORIZE) &&
             result.outcome == TC_OK) {
    result.sent = tc_lua_read_string(L, 11);
    response = read_response(L, 5, result.clocks.now);
    result.response = &response;
  } else if (result.outcome == TC_FAILED &&
             (self->due == TC_ACTION_AUTHORIZE || self->due == TC_ACTION_REQUEST ||
              self->due == TC_ACTION_DISCOVER || self->due == TC_ACTION_SLEEP ||
              (self->due == TC_ACTION_LOCK && !lua_isnil(L, 5)))) {
    error = read_failure(L, 5);
    result.error = &error;
    result.unsent = lua_toboolean(L, 7);
    result.sent = tc_lua_read_string(L, 8);
  }
  return push_action(L, self, tc_engine_resume(&self->engine, &result));
}

/* http_date(text) -> Unix seconds (RFC 9110 §5.6.7); nil: it is none */
static int l_http_date(lua_State *L) {
  luaL_checkstring(L, 1);
  double seconds = tc_retry_after_parse(tc_lua_read_string(L, 1), 0);
  if (seconds <= 0) return 0;
  lua_pushnumber(L, seconds);
  return 1;
}

static void push_class(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"start", l_engine_start},
      {"resume", l_engine_resume},
      {"complete", l_engine_complete},
      {"close", l_engine_close},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__gc", l_engine_gc}, {NULL, NULL}};
  tc_lua_push_class(L, METATABLE, methods, metamethods);
}

void tc_lua_open_engine(lua_State *L) {
  lua_pushcfunction(L, l_engine_new);
  lua_setfield(L, -2, "new_engine");
  lua_pushcfunction(L, l_http_date);
  lua_setfield(L, -2, "http_date");
}
