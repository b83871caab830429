/* Texts as arguments. */
#pragma once

#include "core/str.h"
#include "lua/compat.h"

/* Any string, or a number, which becomes one. */
tc_str tc_lua_check_str(lua_State *L, int index);

/* Neither empty nor with a NUL byte. */
const char *tc_lua_check_path(lua_State *L, int index);
