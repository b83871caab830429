/* The flow engine as a userdata: actions come out as tables, results go in as flat values. */
#pragma once

#include "lua/compat.h"

/* Adds new_engine to the table on top of the stack. */
void tc_lua_open_engine(lua_State *L);
