/* 64-bit integers in Lua: its own integers where it has them. Elsewhere numbers, as far as a double
   counts exactly, and beyond that a small immutable value that prints its digits and compares. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lua/compat.h"

void tc_lua_push_int64(lua_State *L, int64_t value);

/* Whether there is an integer at `index`; a float is one only where Lua cannot tell them apart. */
bool tc_lua_get_int64(lua_State *L, int index, int64_t *value);
