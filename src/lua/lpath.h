/* Paths as arguments. */
#ifndef TC_LPATH_H
#define TC_LPATH_H

#include "lua/compat.h"

/* Neither empty nor with a NUL byte. */
const char *tc_lua_check_path(lua_State *L, int index);

#endif
