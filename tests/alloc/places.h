/* The places that ask for memory: the C functions and the Lua lines that led to an allocation. One
   that is reached again and again, as by a loop, needs to fail no more than a few times. */
#ifndef TC_PLACES_H
#define TC_PLACES_H

#include <lua.h>
#include <stdbool.h>

/* Notes the place of each allocation, while what has begun in this state runs. */
void places_begin(lua_State *L);
void places_end(lua_State *L);

/* Whether the place of that allocation, counted from 1, was noted before often enough. */
bool places_is_repeated(long number);

#endif
