/* support.unix: processes and threads as the specs need them and Lua lacks them. */
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/compat.h"

TC_EXPORT int luaopen_support_unix(lua_State *L);

/* fork() -> the child's process id; 0 in the child */
static int l_unix_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0) return luaL_error(L, "fork failed");
  lua_pushinteger(L, pid);
  return 1;
}

/* wait(pid) -> its exit status; 128 + n after signal n */
static int l_unix_wait(lua_State *L) {
  int status;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0) return luaL_error(L, "wait failed");
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 1;
}

/* exit(status): at once, without closing the Lua state, which is the parent's */
static int l_unix_exit(lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
}

/* setenv(name, value | nil): in this process's own environment */
static int l_unix_setenv(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *value = luaL_optstring(L, 2, NULL);
  if ((value != NULL ? setenv(name, value, 1) : unsetenv(name)) != 0) {
    return luaL_error(L, "setenv failed");
  }
  return 0;
}

/* die(): by SIGKILL, here and now */
static int l_unix_die(lua_State *L) {
  (void)L;
  (void)raise(SIGKILL);
  return 0; /* not reached */
}

typedef struct task {
  const char *code;
  const char *argument;
  char result[256];
} task;

static void *run_task(void *data) {
  task *it = data;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_loadstring(L, it->code) == 0) {
    lua_pushstring(L, it->argument);
    (void)lua_pcall(L, 1, 1, 0);
  }
  const char *text = lua_tostring(L, -1);
  (void)snprintf(it->result, sizeof it->result, "%s", text != NULL ? text : "nothing");
  lua_close(L);
  return NULL;
}

/* in_thread(code, argument) -> text: what the code returns, or the error it raises, in a Lua state
   of its own on a thread of its own */
static int l_unix_in_thread(lua_State *L) {
  pthread_t thread;
  task it = {.code = luaL_checkstring(L, 1), .argument = luaL_checkstring(L, 2)};
  if (pthread_create(&thread, NULL, run_task, &it) != 0) return luaL_error(L, "no thread");
  (void)pthread_join(thread, NULL);
  lua_pushstring(L, it.result);
  return 1;
}

int luaopen_support_unix(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fork", l_unix_fork}, {"wait", l_unix_wait},           {"exit", l_unix_exit},
      {"die", l_unix_die},   {"in_thread", l_unix_in_thread}, {"setenv", l_unix_setenv},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
