/* The client as a userdata. */
#pragma once

#include "core/client.h"
#include "lua/compat.h"

/* The client at `index`; raises if there is none, or none that is open. */
tc_client *tc_lua_check_client(lua_State *L, int index);

/* Raises if the client, which is kept in memory, has been finalized. */
void tc_lua_check_open(lua_State *L, const tc_client *client);
