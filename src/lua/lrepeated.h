/* A string that a server tends to say again: as long as it does, no other is made of it. */
#ifndef TC_LREPEATED_H
#define TC_LREPEATED_H

#include "core/str.h"
#include "lua/compat.h"

/* A reference in the registry. */
typedef struct tc_lua_repeated {
  int ref;
} tc_lua_repeated;

#define TC_LUA_REPEATED_NONE ((tc_lua_repeated){LUA_NOREF})

/* Pushes a string of these bytes: the last one, where it is the same. */
void tc_lua_push_repeated(lua_State *L, tc_lua_repeated *last, tc_str bytes);

void tc_lua_forget_repeated(lua_State *L, tc_lua_repeated *last);

#endif
