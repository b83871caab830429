/* The flow engine as a userdata: actions come out as tables, results go in as flat values. */
#ifndef TC_LENGINE_H
#define TC_LENGINE_H

#include "lua/compat.h"

/* Adds new_engine to the table on top of the stack. */
void tc_lua_open_engine(lua_State *L);

#endif
