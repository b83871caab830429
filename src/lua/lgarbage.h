/* Garbage that holds a lock. */
#pragma once

#include <stdbool.h>

#include "lua/compat.h"

/* Collects garbage. For a caller that finds its lock held by its own process: the holder may be a
   call that was abandoned or raised an error, and keeps the lock until it is collected. It takes a
   twentieth of the time at most: false where there was a collection just now. */
bool tc_lua_collect_garbage(lua_State *L);
