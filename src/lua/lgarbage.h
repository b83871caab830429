/* Garbage that holds a lock. */
#ifndef TC_LGARBAGE_H
#define TC_LGARBAGE_H

#include <stdbool.h>

#include "lua/compat.h"

/* Collects garbage, for who finds a lock taken that its own process holds: the holder may be a call
   that was abandoned or raised an error, and holds its lock until then. False where that was done
   just now; it takes a twentieth of the time at most. */
bool tc_lua_collect_garbage(lua_State *L);

#endif
