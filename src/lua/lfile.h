/* tokencache._core.file: whole files as byte strings, directories, and locks. */
#pragma once

#include "lua/compat.h"

/* Pushes the table of functions. */
int tc_lua_open_file(lua_State *L);
