/* The lock of the memory handler: between the coroutines of one Lua state. It ends when it is
   released, when its time is over, or with its guard. */
#pragma once

#include <stdbool.h>

#include "lua/compat.h"

typedef struct tc_memory_lock {
  lua_Number holder; /* a serial number, unique in the process; 0: nobody */
  double end;        /* monotonic seconds */
} tc_memory_lock;

#define TC_MEMORY_LOCK_FREE ((tc_memory_lock){0})

/* Takes the lock for `ttl` seconds: pushes a handle and a guard whose collection ends the lock, or
   false if it is taken; returns how many values. At `box` is a table that holds the owner of
   `lock`. */
int tc_lua_try_memory_lock(lua_State *L, int box, tc_memory_lock *lock, lua_Number ttl);

void tc_memory_lock_release(tc_memory_lock *lock, lua_Number handle);

/* Reports whether somebody holds it by another handle; one that has ended is nobody's. */
bool tc_memory_lock_is_of_another(const tc_memory_lock *lock, lua_Number handle);
