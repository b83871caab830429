/* Authorization responses, pending logins and form encoding for Lua. */
#pragma once

#include "lua/compat.h"

/* Adds read_callback, check_callback, write_pending, read_pending and form_encode to the table on
   top of the stack. */
void tc_lua_open_authorization(lua_State *L);
