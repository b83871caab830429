/* tokencache._core.file: whole files as byte strings, directories, and locks. */
#ifndef TC_LFILE_H
#define TC_LFILE_H

#include "lua/compat.h"

/* Pushes the table of functions. */
int tc_lua_open_file(lua_State *L);

#endif
