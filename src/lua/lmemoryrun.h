/* What a run of the engine asks of a memory handler, done in C: nothing of it yields, and the way
   through the driver costs several times what it does. */
#ifndef TC_LMEMORYRUN_H
#define TC_LMEMORYRUN_H

#include <stdbool.h>

#include "core/engine.h"
#include "lua/lmemorylock.h"

typedef struct tc_memory_run {
  tc_memory_lock *lock; /* the handler's */
  lua_Number handle;    /* of the lock that this run holds; 0: none */
  bool active;          /* false: the driver does it all, except release that lock */
} tc_memory_run;

/* Elements of the table that an engine holds on to. */
enum {
  TC_KEPT_CLIENT = 1,
  TC_KEPT_INFOS, /* token_infos by origin, for the driver */
  TC_KEPT_BOX,   /* the memory handler's; absent: the flow has another */
  TC_KEPT_SIZE = TC_KEPT_BOX
};

/* Carries out `action` and those that follow it, up to one that is for the driver, and returns
   that. Once the driver has had something to do with the cache, all the rest of the run is for it.
   The engine is argument 1 of the calling function; `object` is the index of the token endpoint's
   answer where that has just come, else 0. */
tc_action tc_lua_carry_out(lua_State *L, tc_memory_run *run, tc_engine *engine, tc_action action,
                           int object);

/* Releases the lock, if it is held: a run that was abandoned, or raised, must not keep it. */
bool tc_memory_run_release(tc_memory_run *run);

#endif
