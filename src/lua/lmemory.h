/* The memory cache handler: keeps the token_info table itself. */
#pragma once

#include "lua/lmemorylock.h"

/* The lock of the memory handler at `index`, and pushes its box: a table whose element 1 is what
   the handler holds, and which holds the handler. NULL and nil where there is another value. */
tc_memory_lock *tc_lua_get_memory(lua_State *L, int index);

/* Adds new_memory and memory_box to the table on top of the stack. */
void tc_lua_open_memory(lua_State *L);
