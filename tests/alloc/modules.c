#include "modules.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "counted.h"

#define KEPT_MAX 256

static const char COMPILE[] =
    "local path = 'lua/' .. (...):gsub('%.', '/')\n"
    "local code = loadfile(path .. '.lua') or loadfile(path .. '/init.lua')\n"
    "return code and string.dump(code)";

typedef struct module {
  char *name;
  char *code;
  size_t size;
} module;

static module kept[KEPT_MAX];
static int count;

/* Returns NULL where there is none of that name. */
static const module *find(lua_State *L, const char *name) {
  for (int i = 0; i < count; i++) {
    if (strcmp(kept[i].name, name) == 0) return &kept[i];
  }
  size_t size;
  luaL_loadstring(L, COMPILE);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
  const char *code = lua_tolstring(L, -1, &size);
  if (code == NULL || count == KEPT_MAX) return NULL;
  kept[count] = (module){strdup(name), memcpy(malloc(size), code, size), size};
  return &kept[count++];
}

int modules_search(lua_State *L) {
  const char *name = lua_tostring(L, 1);
  counted_pause();
  const module *found = find(L, name);
  if (found != NULL) {
    luaL_loadbuffer(L, found->code, found->size, name);
  } else {
    lua_pushfstring(L, "\nnot found: %s", name);
  }
  counted_resume();
  return 1;
}
