/* Tokens in Lua: tables, the token_infos, or the values of those fields that decisions depend on.
 */
#pragma once

#include "core/token.h"
#include "lua/compat.h"

/* The string at `index`, absent where there is another type; borrows from the stack. */
tc_str tc_lua_read_string(lua_State *L, int index);

/* nil where the text is empty */
void tc_lua_push_string(lua_State *L, tc_str text);

/* An expires_at: TC_TIME_UNKNOWN where there is none, TC_TIME_PAST where it cannot be read, for it
   means to state an end. */
int64_t tc_lua_read_end(lua_State *L, int index);

/* A number, or a string that is one; else TC_TIME_UNKNOWN. */
int64_t tc_lua_read_time(lua_State *L, int index);

#define TC_LUA_TOKEN_VALUES 9

/* Reads a token from that many stack values starting at `first`: access_token, expires_at,
   refresh_token, scope, requested_scope, client_id, authorized_at, expires_in, grant_digest. What
   has another type counts as absent. The strings borrow from the stack. */
tc_token tc_lua_read_token(lua_State *L, int first);

/* Pushes both ends; returns 2. */
int tc_lua_push_window(lua_State *L, tc_window window);

/* Puts into the token_info at `index`, which has its access_token, what else is known of the token,
   and takes away what is not. */
void tc_lua_complete(lua_State *L, int index, const tc_token *token);
