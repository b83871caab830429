#include "lua/ltoken.h"

#include <math.h>

#include "lua/lint64.h"

tc_str tc_lua_read_string(lua_State *L, int index) {
  tc_str text = TC_STR_NONE;
  if (lua_type(L, index) == LUA_TSTRING) text.data = lua_tolstring(L, index, &text.len);
  return text;
}

void tc_lua_push_string(lua_State *L, tc_str text) {
  if (text.len == 0) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, text.data, text.len);
  }
}

int64_t tc_lua_read_end(lua_State *L, int index) {
  int64_t large;
  if (lua_isnoneornil(L, index) || lua_islightuserdata(L, index)) return TC_TIME_UNKNOWN;
  double seconds = NAN;
  if (lua_isnumber(L, index)) {
    seconds = (double)lua_tonumber(L, index);
  } else if (tc_lua_get_int64(L, index, &large)) { /* JSON's, beyond 2^53 on Lua 5.1 */
    seconds = (double)large;
  }
  if (seconds >= (double)-TC_TIME_PAST) return TC_TIME_UNKNOWN;
  return seconds > (double)TC_TIME_PAST ? (int64_t)seconds : TC_TIME_PAST;
}

int64_t tc_lua_read_time(lua_State *L, int index) {
  return lua_isnumber(L, index) ? tc_time_of(lua_tonumber(L, index)) : TC_TIME_UNKNOWN;
}

tc_token tc_lua_read_token(lua_State *L, int first) {
  tc_token token = TC_TOKEN_NONE;
  token.access_token = tc_lua_read_string(L, first);
  token.expires_at = tc_lua_read_end(L, first + 1);
  token.refresh_token = tc_lua_read_string(L, first + 2);
  token.scope = tc_lua_read_string(L, first + 3);
  token.requested_scope = tc_lua_read_string(L, first + 4);
  token.client_id = tc_lua_read_string(L, first + 5);
  token.authorized_at = tc_lua_read_time(L, first + 6);
  token.expires_in = tc_lua_read_time(L, first + 7);
  token.grant_digest = tc_lua_read_string(L, first + 8);
  return token;
}

int tc_lua_push_window(lua_State *L, tc_window window) {
  lua_pushnumber(L, (lua_Number)window.from);
  lua_pushnumber(L, (lua_Number)window.until);
  return 2;
}

static void put_string(lua_State *L, int index, const char *name, tc_str text) {
  lua_pushstring(L, name);
  tc_lua_push_string(L, text);
  lua_rawset(L, index);
}

static void put_time(lua_State *L, int index, const char *name, int64_t seconds) {
  lua_pushstring(L, name);
  if (seconds == TC_TIME_UNKNOWN) {
    lua_pushnil(L);
  } else {
#if TC_LUA_HAS_INTEGERS
    lua_pushinteger(L, (lua_Integer)seconds);
#else
    lua_pushnumber(L, (lua_Number)seconds);
#endif
  }
  lua_rawset(L, index);
}

void tc_lua_complete(lua_State *L, int index, const tc_token *token) {
  put_string(L, index, "token_type", token->token_type);
  put_string(L, index, "refresh_token", token->refresh_token);
  put_string(L, index, "scope", token->scope);
  put_string(L, index, "requested_scope", token->requested_scope);
  put_string(L, index, "client_id", token->client_id);
  put_string(L, index, "grant_digest", token->grant_digest);
  put_time(L, index, "expires_in", token->expires_in);
  put_time(L, index, "expires_at", token->expires_at);
  put_time(L, index, "authorized_at", token->authorized_at);
}
