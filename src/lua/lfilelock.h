/* The locks of tokencache._core.file. */
#pragma once

#include "lua/compat.h"

/* Adds new_lock, try_lock, unlock and holds_lock to the table on top of the stack. */
void tc_lua_open_filelock(lua_State *L);
