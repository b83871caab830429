/* Errors on their way into Lua. */
#pragma once

#include "core/error.h"
#include "lua/compat.h"

/* Pushes the error table that tokencache returns as its second result: kind, message, and where
   they apply code, description, status and retry_after. */
void tc_lua_push_error(lua_State *L, const tc_error *err);

/* Ends a binding: `return tc_lua_fail(L, &err)` returns nil and the error. Out of memory raises
   instead, as it does everywhere in Lua. */
int tc_lua_fail(lua_State *L, const tc_error *err);

/* The same for what can only succeed or fail, by the number that it came to: true; nil, err. */
int tc_lua_done(lua_State *L, int status, const tc_error *err);

/* Raises where a flow is used whose parts the collector has finalized: what became garbage together
   with it may still call it from a finalizer. */
int tc_lua_fail_collected(lua_State *L);

/* Pushes the metatable that all errors share, made at the first call of each Lua state. */
void tc_lua_push_error_metatable(lua_State *L);
