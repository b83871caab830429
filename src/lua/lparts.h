/* The parts of tokencache._core. Each of these adds its functions to the table on top of the stack.
 */
#pragma once

#include "lua/compat.h"

void tc_lua_open_at_close(lua_State *L);      /* work left for the end of the Lua state */
void tc_lua_open_authorization(lua_State *L); /* responses, pending logins, form encoding, URLs */
void tc_lua_open_client(lua_State *L);
void tc_lua_open_engine(lua_State *L);
void tc_lua_open_file(lua_State *L);    /* in a table of their own, `file` */
void tc_lua_open_memory(lua_State *L);  /* the memory cache handler: keeps the token_info itself */
void tc_lua_open_process(lua_State *L); /* for the command; in a table of their own, `process` */

/* Of tokencache._crypto. */
void tc_lua_open_private_key(lua_State *L);
