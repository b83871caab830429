/* Metatables of our userdata and errors, one per Lua state and name. */
#pragma once

#include "lua/compat.h"

/* Pushes the metatable registered as `name`, made at first use. `methods` become its __index;
   either list may be NULL. A metatable that an allocation failure left half made is completed at
   the next call: a userdata must never be without its __gc. The metatable is upvalue 1 of the
   methods. */
void tc_lua_push_class(lua_State *L, const char *name, const luaL_Reg *methods,
                       const luaL_Reg *metamethods);

/* Pushes a userdata of that class, all zeros: so it must be closed. `close`, which must bear to be
   called any number of times, becomes its __gc and __close. */
void *tc_lua_new_object(lua_State *L, size_t size, const char *name, const luaL_Reg *methods,
                        lua_CFunction close);

/* The userdata at 1 of a method, which raises where it is of another class. Does what
   luaL_checkudata does at a third of the cost. */
void *tc_lua_check_self(lua_State *L, const char *name);
