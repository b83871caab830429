/* tokencache._core.process: what a command needs of the process that it is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

/* Those that ask a process to end. */
static const int ENDING[] = {SIGHUP, SIGINT, SIGTERM};
enum { ENDINGS = sizeof ENDING / sizeof *ENDING };

static lua_State *main_state;
static volatile sig_atomic_t caught; /* the first of them; 0: none */
static struct timespec caught_at;

static void interrupt(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(main_state, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

/* To be asked once more ends the process at once, but timeout(1) and the like ask twice: the
   process itself, and its group. */
static void on_ending(int number) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (caught == 0) {
    caught = number;
    caught_at = now;
    lua_sethook(main_state, interrupt, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  } else if (now.tv_sec > caught_at.tv_sec + 1) {
    signal(number, SIG_DFL);
    raise(number);
  }
}

static void on_pipe(int number) {
  (void)number;
}

/* What was ignored still is, and a program that this process runs has the defaults. */
static void catch_signal(int number, void (*handler)(int)) {
  struct sigaction former;
  struct sigaction action = {.sa_handler = handler,
                             .sa_flags = handler == on_pipe ? SA_RESTART : 0};
  sigemptyset(&action.sa_mask);
  if (sigaction(number, NULL, &former) == 0 && former.sa_handler != SIG_IGN) {
    sigaction(number, &action, NULL);
  }
}

/* catch_signals(): where the process is asked to end an error is raised, so that it ends in order;
   to write where nobody reads fails */
static int l_process_catch_signals(lua_State *L) {
  main_state = L;
  for (size_t i = 0; i < ENDINGS; i++) catch_signal(ENDING[i], on_ending);
  catch_signal(SIGPIPE, on_pipe);
  return 0;
}

/* hold_signals(held): those that ask the process to end wait, or come at last */
static int l_process_hold_signals(lua_State *L) {
  sigset_t signals;
  sigemptyset(&signals);
  for (size_t i = 0; i < ENDINGS; i++) sigaddset(&signals, ENDING[i]);
  int is_held = lua_toboolean(L, 1);
  sigprocmask(is_held ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
  if (!is_held && caught != 0) interrupt(L, NULL); /* again, where something took the error */
  return 0;
}

/* end_by_signal(): if the process was asked to end, it does so now, as if by that signal */
static int l_process_end_by_signal(lua_State *L) {
  if (caught == 0) return 0;
  int number = caught;
  caught = 0;
  signal(number, SIG_DFL);
  l_process_hold_signals(L);
  raise(number);
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
      {"catch_signals", l_process_catch_signals},
      {"end_by_signal", l_process_end_by_signal},
      {"hold_signals", l_process_hold_signals},
      {"set_environment", l_process_set_environment},
      {"exec", l_process_exec},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "process");
}
