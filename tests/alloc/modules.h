/* The modules that are written in Lua, which each of ten thousand Lua states loads anew: compiled
   once, and with memory to spare, as it is Lua that reads them. What they do when they are loaded
   is part of the trial. */
#ifndef TC_MODULES_H
#define TC_MODULES_H

#include <lua.h>

/* For package.searchers, in the place of the one that looks for files. */
int modules_search(lua_State *L);

#endif
