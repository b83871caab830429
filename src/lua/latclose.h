/* Work left for the end of the Lua state. */
#ifndef TC_LATCLOSE_H
#define TC_LATCLOSE_H

#include "lua/compat.h"

/* Adds at_close to the table on top. */
void tc_lua_open_at_close(lua_State *L);

#endif
