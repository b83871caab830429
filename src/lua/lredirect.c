/* tokencache._redirect: the redirect listener, which needs libmicrohttpd. */
#include "backend/redirect.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"

#define METATABLE "tokencache.redirect"

TC_EXPORT int luaopen_tokencache__redirect(lua_State *L);

typedef struct l_redirect {
  tc_redirect *redirect; /* NULL: closed */
} l_redirect;

static tc_redirect *check_open(lua_State *L) {
  const l_redirect *self = tc_lua_check_self(L, METATABLE);
  if (self->redirect == NULL) luaL_error(L, "the redirect listener is closed");
  return self->redirect;
}

/* listener:port() -> the port it listens on */
static int l_redirect_port(lua_State *L) {
  lua_pushinteger(L, tc_redirect_port(check_open(L)));
  return 1;
}

/* listener:poll(seconds) -> the callback's parameters, still encoded; nil while it has not come;
   nil, err. Returns within 0.25 seconds, so that the caller's loop sees signals and deadlines. */
static int l_redirect_poll(lua_State *L) {
  double seconds = (double)luaL_checknumber(L, 2);
  tc_str query;
  tc_error err = TC_ERROR_NONE;
  tc_lua_ready_buf(L);
  if (tc_redirect_poll(check_open(L), seconds, &query, &err) < 0) return tc_lua_fail(L, &err);
  if (query.data == NULL) {
    lua_pushnil(L);
  } else {
    tc_buf *params = tc_lua_take_buf(L);
    tc_buf_add_str(params, query);
    (void)tc_lua_return_buf(L, params);
  }
  return 1;
}

/* listener:send_to(path, url) -> true; nil, err: a GET for the path sends the browser to the URL */
static int l_redirect_send_to(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_redirect *redirect = check_open(L);
  tc_str path = tc_lua_check_str(L, 2);
  return tc_lua_done(L, tc_redirect_send_to(redirect, path, luaL_checkstring(L, 3), &err), &err);
}

/* listener:stranger() -> the id of another user who has tried to begin or to end this login; -1: it
   cannot be told whose; nil: nobody has */
static int l_redirect_stranger(lua_State *L) {
  int64_t uid;
  if (!tc_redirect_met_stranger(check_open(L), &uid)) return 0;
  lua_pushnumber(L, (lua_Number)uid);
  return 1;
}

/* listener:close(), any number of times */
static int l_redirect_close(lua_State *L) {
  l_redirect *self = tc_lua_check_self(L, METATABLE);
  tc_redirect_close(self->redirect);
  self->redirect = NULL;
  return 0;
}

static l_redirect *new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"port", l_redirect_port},       {"poll", l_redirect_poll},
      {"send_to", l_redirect_send_to}, {"stranger", l_redirect_stranger},
      {"close", l_redirect_close},     {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(l_redirect), METATABLE, methods, l_redirect_close);
}

/* Leaves the field on the stack: the text borrows from it. */
static tc_str check_text(lua_State *L, const char *field) {
  tc_str text;
  lua_pushstring(L, field);
  lua_rawget(L, 1);
  if (lua_type(L, -1) != LUA_TSTRING) {
    luaL_error(L, "open: %s must be a string, not %s", field, luaL_typename(L, -1));
  }
  text.data = lua_tolstring(L, -1, &text.len);
  return text;
}

static const char *check_host(lua_State *L) {
  tc_str host = check_text(L, "host");
  if (!tc_str_equal(host, TC_STR("127.0.0.1")) && !tc_str_equal(host, TC_STR("::1")) &&
      !tc_str_equal(host, TC_STR("localhost"))) {
    luaL_error(L, "open: host must be \"127.0.0.1\", \"::1\" or \"localhost\"");
  }
  return host.data;
}

static uint16_t check_port(lua_State *L) {
  lua_pushliteral(L, "port");
  lua_rawget(L, 1);
  lua_Number port = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(port >= 0 && port <= UINT16_MAX) || port != (lua_Number)(uint16_t)port) {
    luaL_error(L, "open: port must be an integer from 0 to 65535");
  }
  return (uint16_t)port;
}

static tc_str check_path(lua_State *L) {
  tc_str path = check_text(L, "path");
  bool is_path = path.len > 0 && path.data[0] == '/';
  for (size_t i = 0; i < path.len; i++) {
    if ((unsigned char)path.data[i] <= ' ' || strchr("?#", path.data[i]) != NULL) is_path = false;
  }
  if (!is_path) luaL_error(L, "open: path must start with '/' and hold no blank, '?' or '#'");
  return path;
}

static tc_str check_state(lua_State *L) {
  tc_str state = check_text(L, "state");
  if (state.len == 0) luaL_error(L, "open: state is empty");
  return state;
}

static bool check_flag(lua_State *L, const char *field) {
  lua_pushstring(L, field);
  lua_rawget(L, 1);
  if (!lua_isnoneornil(L, -1) && !lua_isboolean(L, -1)) {
    luaL_error(L, "open: %s must be a boolean, not %s", field, luaL_typename(L, -1));
  }
  return lua_toboolean(L, -1) != 0;
}

/* open{ host=, port=, path=, state=, fragment=, form_post= } -> listener; nil, err */
static int l_redirect_open(lua_State *L) {
  tc_redirect_options options;
  tc_error err = TC_ERROR_NONE;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  options.host = check_host(L);
  options.port = check_port(L);
  options.path = check_path(L);
  options.state = check_state(L);
  options.fragment = check_flag(L, "fragment");
  options.form_post = check_flag(L, "form_post");
  l_redirect *self = new_closed(L);
  if (tc_redirect_open(&self->redirect, &options, &err) < 0) return tc_lua_fail(L, &err);
  return 1;
}

int luaopen_tokencache__redirect(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_redirect_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
