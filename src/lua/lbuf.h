/* A tc_buf owned by a userdata, so that it is freed whatever Lua raises in between. */
#ifndef TC_LBUF_H
#define TC_LBUF_H

#include "core/buf.h"
#include "lua/compat.h"

/* Pushes an empty buffer; it lives as long as its place on the stack. */
tc_buf *tc_lua_new_buf(lua_State *L);

#endif
