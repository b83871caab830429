/* tokencache._core.process: what a command needs of the process that it is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/compat.h"
#include "lua/lparts.h"

/* fill_standard(): fills the places of stdin, stdout and stderr where they are closed, so that no
   file which is opened later takes them and gets what is printed. To read or write there still
   fails. */
static int l_process_fill_standard(lua_State *L) {
  (void)L;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) break;
  }
  return 0;
}

/* is_terminal(fd) */
static int l_process_is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* hold_signals(held): those that ask the process to end wait, or come at last */
static int l_process_hold_signals(lua_State *L) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(lua_toboolean(L, 1) ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
  return 0;
}

/* set_environment(name, value) */
static int l_process_set_environment(lua_State *L) {
  if (setenv(luaL_checkstring(L, 1), luaL_checkstring(L, 2), 1) != 0) {
    return luaL_error(L, "the environment cannot be set: %s", strerror(errno));
  }
  return 0;
}

/* exec(command, argument...): the process becomes that command. Where it cannot: why not */
static int l_process_exec(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checkstring(L, 1);
  const char **words = lua_newuserdata(L, ((size_t)count + 1) * sizeof *words);
  for (int i = 0; i < count; i++) words[i] = luaL_checkstring(L, i + 1);
  words[count] = NULL;
  execvp(words[0], (char *const *)words);
  lua_pushstring(L, strerror(errno));
  return 1;
}

void tc_lua_open_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fill_standard", l_process_fill_standard},
      {"is_terminal", l_process_is_terminal},
      {"hold_signals", l_process_hold_signals},
      {"set_environment", l_process_set_environment},
      {"exec", l_process_exec},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "process");
}
