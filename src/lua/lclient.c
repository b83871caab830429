#include "lua/lclient.h"

#include "core/echo.h"
#include "core/form.h"
#include "core/grant.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lparts.h"
#include "lua/ltoken.h"

#define METATABLE "tokencache.client"

void tc_lua_check_open(lua_State *L, const tc_client *client) {
  if (client->client_id == NULL) (void)tc_lua_fail_collected(L);
}

tc_client *tc_lua_check_client(lua_State *L, int index) {
  tc_client *client = luaL_checkudata(L, index, METATABLE);
  tc_lua_check_open(L, client);
  return client;
}

static tc_str field(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  return tc_lua_read_string(L, -1); /* left on the stack: the text borrows from it */
}

/* The list { name, value, ... } on the stack's top, if it is one. */
static void add_params(lua_State *L, tc_buf *params) {
  for (int i = 1; lua_type(L, -1) == LUA_TTABLE; i += 2) {
    lua_rawgeti(L, -1, i);
    lua_rawgeti(L, -2, i + 1);
    if (lua_isnil(L, -2)) return;
    tc_form_add(params, tc_lua_read_string(L, -2), tc_lua_read_string(L, -1));
    lua_pop(L, 2);
  }
}

static bool flag(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool is_set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_set;
}

static double number(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  double value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

/* What the provider calls the grant; absent: as we do. */
static tc_str grant_type(lua_State *L, const tc_grant *grant) {
  lua_pushliteral(L, "grant_types");
  lua_rawget(L, 1);
  if (grant == NULL || !lua_istable(L, -1)) return TC_STR_NONE;
  lua_pushstring(L, grant->name);
  lua_rawget(L, -2);
  return tc_lua_read_string(L, -1); /* left on the stack, as above */
}

/* new_client{ flow=, token_url=, client_id=, grant_digest=, scope=, remedy=, leeway=,
   default_expires_in=, scope_separator=, scope_on_refresh=, allow_insecure_http=, dpop=,
   keeps_dead=, reuses=,
   grant_types={ name = type }, params={ name, value, ... } } -> client | nil, message
   issuer= instead of token_url=: that is to be set */
static int l_client_new(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_client_config config = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 40, NULL);
  tc_client *client = lua_newuserdata(L, sizeof *client);
  *client = (tc_client){0};
  tc_lua_push_class(L, METATABLE, NULL, NULL);
  lua_setmetatable(L, -2);
  int made = lua_gettop(L);
  tc_buf *params = tc_lua_take_buf(L);
  lua_getfield(L, 1, "params");
  add_params(L, params);
  config.params = tc_buf_str(params);
  config.flow = field(L, "flow");
  const tc_flow *flow = tc_flow_find(config.flow);
  config.acquire_type = grant_type(L, flow != NULL ? flow->acquire : NULL);
  config.renew_type = grant_type(L, flow != NULL ? flow->renew : NULL);
  config.issuer = field(L, "issuer");
  config.token_url = field(L, "token_url");
  config.client_id = field(L, "client_id");
  config.grant_digest = field(L, "grant_digest");
  config.scope = field(L, "scope");
  config.remedy = field(L, "remedy");
  config.scope_separator = field(L, "scope_separator");
  config.allow_insecure_http = flag(L, "allow_insecure_http");
  config.scope_on_refresh = flag(L, "scope_on_refresh");
  config.leeway = number(L, "leeway");
  config.default_expires_in = number(L, "default_expires_in");
  config.dpop = flag(L, "dpop");
  config.keeps_dead = flag(L, "keeps_dead");
  config.reuses = flag(L, "reuses");
  if (params->failed || tc_client_init(client, &config, &err) == TC_ERR_NOMEM) {
    return luaL_error(L, "not enough memory");
  }
  if (err.number != 0) {
    lua_pushnil(L);
    lua_pushstring(L, err.message);
    return 2;
  }
  lua_pushvalue(L, made);
  return 1;
}

/* client:set_endpoint(token_url) -> true | nil, message */
static int l_client_set_endpoint(lua_State *L) {
  tc_client *client = tc_lua_check_client(L, 1);
  tc_error err = TC_ERROR_NONE;
  luaL_checkstring(L, 2);
  int rc = tc_client_set_endpoint(client, tc_lua_read_string(L, 2), &err);
  if (rc == TC_ERR_NOMEM) return luaL_error(L, "not enough memory");
  if (rc == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, err.message);
  return 2;
}

static int l_client_free(lua_State *L) {
  tc_client_free(luaL_checkudata(L, 1, METATABLE));
  return 0;
}

static bool is_usable(const tc_client *client, const tc_token *token) {
  return tc_token_exists(token) && !tc_token_has_control(token->access_token) &&
         !tc_client_shuns(client, token);
}

/* client:window(<token>) -> from, until: Unix seconds between which the token serves for longer
   than the leeway, both included; nil where it serves this client at no time */
static int l_client_window(lua_State *L) {
  const tc_client *client = tc_lua_check_client(L, 1);
  lua_settop(L, 1 + TC_LUA_TOKEN_VALUES);
  tc_token token = tc_lua_read_token(L, 2);
  if (!is_usable(client, &token) || !tc_client_owns(client, &token)) return 0;
  return tc_lua_push_window(L, tc_token_window(&token, client->leeway));
}

/* client:works(now, <token>) -> whether the token serves, if only for some seconds more */
static int l_client_works(lua_State *L) {
  const tc_client *client = tc_lua_check_client(L, 1);
  double now = luaL_checknumber(L, 2);
  lua_settop(L, 2 + TC_LUA_TOKEN_VALUES);
  tc_token token = tc_lua_read_token(L, 3);
  lua_pushboolean(L,
                  is_usable(client, &token) && tc_client_judge(client, &token, now) <= TC_EXPIRING);
  return 1;
}

/* client:judge(now, <token>) -> "fit", "expiring", "expired" or "unfit" */
static int l_client_judge(lua_State *L) {
  static const char *const names[] = {
      [TC_FIT] = "fit", [TC_EXPIRING] = "expiring", [TC_EXPIRED] = "expired", [TC_UNFIT] = "unfit"};
  const tc_client *client = tc_lua_check_client(L, 1);
  double now = luaL_checknumber(L, 2);
  lua_settop(L, 2 + TC_LUA_TOKEN_VALUES);
  tc_token token = tc_lua_read_token(L, 3);
  lua_pushstring(L, names[tc_client_judge(client, &token, now)]);
  return 1;
}

/* client:is_expired(now, expires_at, expires_in) */
static int l_client_is_expired(lua_State *L) {
  const tc_client *client = tc_lua_check_client(L, 1);
  tc_token token = TC_TOKEN_NONE;
  lua_settop(L, 4);
  token.expires_at = tc_lua_read_end(L, 3);
  token.expires_in = tc_lua_read_time(L, 4);
  lua_pushboolean(
      L, !tc_window_holds(tc_token_window(&token, client->leeway), luaL_checknumber(L, 2)));
  return 1;
}

/* client:form({ name, value, ... }, whether token_params belong to it) -> the body of a request */
static int l_client_form(lua_State *L) {
  const tc_client *client = tc_lua_check_client(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  tc_buf *body = tc_lua_take_buf(L);
  lua_pushvalue(L, 2);
  add_params(L, body);
  if (lua_toboolean(L, 3)) tc_grant_add_token_params(body, client);
  return tc_lua_return_buf(L, body);
}

/* hide(text, sent) -> the text without what it repeats of the secrets in what was sent: a form */
static int l_hide(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  tc_buf *text = tc_lua_take_buf(L);
  tc_buf_add_str(text, tc_lua_read_string(L, 1));
  if (text->failed || !tc_echo_hide(text->data, text->len, tc_lua_read_string(L, 2))) {
    return luaL_error(L, "not enough memory");
  }
  return tc_lua_return_buf(L, text);
}

/* problem_of_text(name, text) -> what is wrong with an id or a secret; nil: nothing */
static int l_problem_of_text(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  if (tc_client_check_text(luaL_checkstring(L, 1), tc_lua_read_string(L, 2), &err) == 0) return 0;
  lua_pushstring(L, err.message);
  return 1;
}

/* client:scope() -> the scopes wanted, as they are sent */
static int l_client_scope(lua_State *L) {
  lua_pushstring(L, tc_lua_check_client(L, 1)->sent_scope);
  return 1;
}

/* token_window(expires_at, expires_in, leeway) -> from, until: Unix seconds between which a token
   has the leeway or more left */
static int l_token_window(lua_State *L) {
  tc_token token = TC_TOKEN_NONE;
  token.expires_at = tc_lua_read_end(L, 1);
  token.expires_in = tc_lua_read_time(L, 2);
  return tc_lua_push_window(L, tc_token_window(&token, luaL_checknumber(L, 3)));
}

void tc_lua_open_client(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"scope", l_client_scope},
      {"window", l_client_window},
      {"works", l_client_works},
      {"judge", l_client_judge},
      {"is_expired", l_client_is_expired},
      {"set_endpoint", l_client_set_endpoint},
      {"form", l_client_form},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__gc", l_client_free}, {NULL, NULL}};
  tc_lua_push_class(L, METATABLE, methods, metamethods);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_client_new);
  lua_setfield(L, -2, "new_client");
  lua_pushcfunction(L, l_hide);
  lua_setfield(L, -2, "hide");
  lua_pushcfunction(L, l_problem_of_text);
  lua_setfield(L, -2, "problem_of_text");
  lua_pushcfunction(L, l_token_window);
  lua_setfield(L, -2, "token_window");
}
