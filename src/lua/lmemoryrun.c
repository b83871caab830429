#include "lua/lmemoryrun.h"

#include "lua/ltoken.h"

static void note_info(lua_State *L, int kept, const char *origin, int info) {
  lua_rawgeti(L, kept, TC_KEPT_INFOS);
  lua_pushstring(L, origin);
  lua_pushvalue(L, info);
  lua_rawset(L, -3);
}

/* False where it is no plain token_info: the driver has the words for that. */
static bool load(lua_State *L, int kept, tc_token *token, tc_result *result) {
  lua_rawgeti(L, kept, TC_KEPT_BOX);
  lua_rawgeti(L, -1, 1);
  int info = lua_gettop(L);
  if (lua_isnil(L, info)) {
    result->outcome = TC_NONE;
    return true;
  }
  if (!lua_istable(L, info) || lua_getmetatable(L, info)) return false;
  *token = tc_lua_get_token(L, info);
  if (!tc_token_exists(token)) return false;
  note_info(L, kept, "cache", info);
  result->token = token;
  return true;
}

/* False where another holds it. */
static bool take_lock(lua_State *L, tc_memory_run *run, double seconds) {
  run->handle = tc_lua_take_memory_lock(L, run->lock, seconds);
  return run->handle != 0;
}

/* A token that is new and not renewed: nothing of an older one goes into it. */
static bool save(lua_State *L, const tc_engine *engine, int kept, int object) {
  if (object == 0 || engine->origin != TC_FROM_ANSWER || engine->renewing) return false;
  tc_lua_complete(L, object, &engine->token);
  note_info(L, kept, "answer", object);
  lua_rawgeti(L, kept, TC_KEPT_BOX);
  lua_pushvalue(L, object);
  lua_rawseti(L, -2, 1);
  return true;
}

bool tc_memory_run_release(tc_memory_run *run) {
  if (run->handle == 0) return false;
  tc_memory_lock_release(run->lock, run->handle);
  run->handle = 0;
  return true;
}

static bool is_done(lua_State *L, tc_memory_run *run, const tc_engine *engine, tc_action action,
                    int kept, int object, tc_token *token, tc_result *result) {
  switch (action) {
  case TC_ACTION_LOAD:
    return run->active && load(L, kept, token, result);
  case TC_ACTION_LOCK:
    return run->active && take_lock(L, run, engine->seconds);
  case TC_ACTION_SAVE:
    return run->active && save(L, engine, kept, object);
  case TC_ACTION_UNLOCK:
    return tc_memory_run_release(run);
  default:
    return false;
  }
}

tc_action tc_lua_carry_out(lua_State *L, tc_memory_run *run, tc_engine *engine, tc_action action,
                           int object) {
  if (run->lock == NULL) return action;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_getuservalue(L, 1);
  int kept = lua_gettop(L);
  for (;;) {
    tc_token token;
    tc_result result = {.clocks = engine->clocks, .outcome = TC_OK};
    if (!is_done(L, run, engine, action, kept, object, &token, &result)) break;
    action = tc_engine_resume(engine, &result);
    lua_settop(L, kept);
  }
  bool is_handed_over = action == TC_ACTION_LOAD || action == TC_ACTION_LOCK ||
                        action == TC_ACTION_SAVE || action == TC_ACTION_REMOVE;
  if (is_handed_over) run->active = false;
  return action;
}
