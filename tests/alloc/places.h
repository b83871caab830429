/* The places that ask for memory: the C functions and the Lua lines that led to an allocation. One
   that is reached again and again, as by a loop, needs to fail no more than a few times.

   What is known of a place outlasts a run; the number of an allocation would not: Lua makes its
   hashes differ from run to run, and with them how often tables grow. */
#ifndef TC_PLACES_H
#define TC_PLACES_H

#include <lua.h>

void places_forget(void);

/* While what begins in this state runs, counted_choose chooses the next place that was chosen less
   than `times` since they were forgotten. */
void places_begin(lua_State *L, int times);
void places_end(lua_State *L);

/* In between, Lua's lines are not followed, which takes longer than to run them. */
void places_pause(lua_State *L);
void places_resume(lua_State *L);

#endif
