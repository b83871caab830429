#include "core/callback.h"
#include "core/form.h"
#include "core/pending.h"
#include "core/token.h"
#include "core/url.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lclient.h"
#include "lua/lerror.h"
#include "lua/lparts.h"
#include "lua/ltoken.h"

/* Both live on the stack only, so that what Lua raises in between frees them. */
#define CALLBACK "tokencache.callback"
#define PENDING "tokencache.pending"

static int l_callback_free(lua_State *L) {
  tc_callback_free(luaL_checkudata(L, 1, CALLBACK));
  return 0;
}

static int l_pending_free(lua_State *L) {
  tc_pending_free(luaL_checkudata(L, 1, PENDING));
  return 0;
}

static void set_str(lua_State *L, const char *name, tc_str text) {
  if (text.data == NULL) return;
  lua_pushlstring(L, text.data, text.len);
  lua_setfield(L, -2, name);
}

static void set_param(lua_State *L, const char *name, const tc_buf *param) {
  if (param->data != NULL) set_str(L, name, tc_buf_str(param));
}

static int push_callback(lua_State *L, const tc_callback *callback) {
  lua_newtable(L);
#define X(member) set_param(L, #member, &callback->member);
  TC_CALLBACK_PARAMS(X)
#undef X
  return 1;
}

/* read_callback(text [, state, issuer, iss_optional]) -> its parameters | nil, err
   With a state the response is checked to belong to that authorization. */
static int l_callback_read(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_str text = tc_lua_check_str(L, 1);
  lua_settop(L, 4);
  tc_callback *callback = tc_lua_new_object(L, sizeof *callback, CALLBACK, NULL, l_callback_free);
  tc_callback_expectation expected = {.state = tc_lua_read_string(L, 2),
                                      .issuer = tc_lua_read_string(L, 3),
                                      .iss_optional = lua_toboolean(L, 4)};
  if (tc_callback_read(callback, text, &err) != 0) return tc_lua_fail(L, &err);
  if (expected.state.data != NULL && tc_callback_check(callback, &expected, &err) != 0) {
    return tc_lua_fail(L, &err);
  }
  return push_callback(L, callback);
}

static void get_field(lua_State *L, const char *name, tc_buf *field) {
  lua_getfield(L, 1, name);
  tc_buf_add_str(field, tc_lua_read_string(L, -1));
  lua_pop(L, 1);
}

/* write_pending{ state=, code_verifier=, issuer=, client_id=, redirect_uri=, nonce=, dpop_key=,
   created= } -> text */
static int l_pending_write(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  tc_pending *pending = tc_lua_new_object(L, sizeof *pending, PENDING, NULL, l_pending_free);
  tc_buf *text = tc_lua_take_buf(L);
#define X(member) get_field(L, #member, &pending->member);
  TC_PENDING_FIELDS(X)
#undef X
  lua_getfield(L, 1, "created");
  pending->created = tc_time_of(luaL_checknumber(L, -1));
  tc_pending_write(text, pending);
  return tc_lua_return_buf(L, text);
}

/* read_pending(text, client_id, redirect_uri or nil, now) -> its fields | nil, err */
static int l_pending_read(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_str text = tc_lua_check_str(L, 1);
  tc_str client_id = tc_str_of(luaL_checkstring(L, 2));
  double now = luaL_checknumber(L, 4);
  tc_pending *pending = tc_lua_new_object(L, sizeof *pending, PENDING, NULL, l_pending_free);
  if (tc_pending_read(pending, text, &err) != 0) return tc_lua_fail(L, &err);
  tc_str redirect_uri =
      lua_isnil(L, 3) ? tc_buf_str(&pending->redirect_uri) : tc_lua_read_string(L, 3);
  if (tc_pending_check(pending, client_id, redirect_uri, now, &err) != 0) {
    return tc_lua_fail(L, &err);
  }
  lua_newtable(L);
#define X(member) set_param(L, #member, &pending->member);
  TC_PENDING_FIELDS(X)
#undef X
  lua_pushnumber(L, (lua_Number)pending->created);
  lua_setfield(L, -2, "created");
  return 1;
}

/* form_encode({ name, value, ... } [, before]) -> text; before: a form, to which they are added */
static int l_form_encode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  tc_str before = tc_lua_read_string(L, 2);
  tc_buf *text = tc_lua_take_buf(L);
  tc_buf_add_str(text, before);
  for (int i = 1;; i += 2) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, i + 1);
    if (lua_isnil(L, -2)) break;
    tc_form_add(text, tc_lua_read_string(L, -2), tc_lua_read_string(L, -1));
    lua_pop(L, 2);
  }
  return tc_lua_return_buf(L, text);
}

/* parse_url(text) -> { scheme=, host=, port=, path=, query=, fragment=, loopback= } |
   nil, message */
static int l_url_parse(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_url url;
  tc_str text = tc_lua_check_str(L, 1);
  if (tc_url_parse(text, &url, &err) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, err.message);
    return 2;
  }
  lua_newtable(L);
  set_str(L, "scheme", url.scheme);
  set_str(L, "host", url.host);
  set_str(L, "port", url.port);
  set_str(L, "path", url.path);
  set_str(L, "query", url.query);
  set_str(L, "fragment", url.fragment);
  lua_pushboolean(L, tc_url_is_loopback(&url));
  lua_setfield(L, -2, "loopback");
  return 1;
}

/* problem_of_endpoint(name, text, may_be_plain) -> message | nil: what is wrong with an address
   that secrets travel to */
static int l_url_check_endpoint(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  const char *name = luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  if (tc_url_check_endpoint(name, tc_lua_read_string(L, 2), lua_toboolean(L, 3), &err) == 0) {
    return 0;
  }
  lua_pushstring(L, err.message);
  return 1;
}

void tc_lua_open_authorization(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read_callback", l_callback_read},
      {"write_pending", l_pending_write},
      {"read_pending", l_pending_read},
      {"form_encode", l_form_encode},
      {"parse_url", l_url_parse},
      {"problem_of_endpoint", l_url_check_endpoint},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
