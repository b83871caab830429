/* A string that a server tends to send again: while it does, the Lua string is used again. */
#pragma once

#include "core/str.h"
#include "lua/compat.h"

typedef struct tc_lua_repeated {
  int ref; /* in the registry, where all are above zero; 0: none */
} tc_lua_repeated;

/* Pushes the last string, if it is of these bytes. Else false, and pushes a copy of them for
   tc_lua_push_said. After tc_lua_ready_buf it lets no finalizer run and does not raise. */
bool tc_lua_repeat(lua_State *L, const tc_lua_repeated *last, tc_str bytes);

/* Pushes a string of that copy, which must be on the top; from now on it is the last one. */
void tc_lua_push_said(lua_State *L, tc_lua_repeated *last);

void tc_lua_forget_repeated(lua_State *L, tc_lua_repeated *last);
