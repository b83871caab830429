/* Work left for the end of the Lua state. */
#pragma once

#include "lua/compat.h"

/* Adds at_close to the table on top. */
void tc_lua_open_at_close(lua_State *L);
