/* A fuzz target in Lua, over the modules as they are: tests/fuzz/NAME.lua returns a function that
   is called with each input, and raises where something is wrong with what came of it. */
#ifndef TC_FUZZ_LUA_TARGET_H
#define TC_FUZZ_LUA_TARGET_H

extern const char *const tc_fuzz_script; /* a target defines it */

#endif
