/* A tc_buf owned by a userdata, so that it is freed whatever Lua raises in between. */
#pragma once

#include "core/buf.h"
#include "lua/compat.h"

/* Pushes an empty buffer; it lives as long as its place on the stack. */
tc_buf *tc_lua_new_buf(lua_State *L);

/* Ends a binding: pushes what is in the buffer as a string and frees it; raises if it has failed.
 */
int tc_lua_return_buf(lua_State *L, tc_buf *buf);

/* Puts one into the table on top of the stack: for functions that have the table as upvalue 1, such
   as methods, whose class it is. Lua 5.4 finalizes nothing that is made while the state is closed,
   so it is made before. */
void tc_lua_keep_buf(lua_State *L);

/* Functions whose upvalue 1 is such a table keep a buffer in it.
   This pushes that, empty, and takes it out of there. While one call has it, others find none and
   make their own: on Lua 5.1 lua_pushlstring lets finalizers run, and they may call the function
   again, before it copies the bytes. */
tc_buf *tc_lua_take_buf(lua_State *L);

/* Has one made, if there is none to be taken: until something else of Lua runs, taking it lets no
   finalizer run and does not raise. */
void tc_lua_ready_buf(lua_State *L);

/* Makes a string of the taken buffer on the stack's top, in its place, and gives it back. */
void tc_lua_push_buf(lua_State *L);

/* Erases the buffer at `index` and keeps it. A call that fails need not. */
void tc_lua_give_buf_back(lua_State *L, int index);
