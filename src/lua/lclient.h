/* The client as a userdata. */
#ifndef TC_LCLIENT_H
#define TC_LCLIENT_H

#include "core/client.h"
#include "lua/compat.h"

/* The client at `index`; raises if there is none. */
tc_client *tc_lua_check_client(lua_State *L, int index);

/* Adds new_client to the table on top of the stack. */
void tc_lua_open_client(lua_State *L);

#endif
