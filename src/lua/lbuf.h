/* A tc_buf owned by a userdata, so that it is freed whatever Lua raises in between. */
#pragma once

#include "core/buf.h"
#include "lua/compat.h"

/* Has a buffer made, if there is none to be taken: until something else of Lua runs, taking it lets
   no finalizer run and does not raise. Lua 5.4 finalizes nothing that is made while the state is
   closed, so each module has one made when it is loaded. */
void tc_lua_ready_buf(lua_State *L);

/* Pushes an empty buffer, which must stay on the stack while it is used. While one call has it,
   others get one of their own: on Lua 5.1 lua_pushlstring lets finalizers run, and they may call
   the function again, before it copies the bytes. */
tc_buf *tc_lua_take_buf(lua_State *L);

/* Erases a buffer and lets the next call have it. */
void tc_lua_give_back_buf(tc_buf *buf);

/* The same for those that a binding has taken which fails: tc_lua_fail does so. That of one which
   raises stays taken until the state is closed, and later calls make theirs anew. */
void tc_lua_give_back_bufs(lua_State *L);

/* Ends a binding: pushes what is in the buffer as a string and gives it back; raises if it has
   failed. */
int tc_lua_return_buf(lua_State *L, tc_buf *buf);
