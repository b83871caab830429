/* tokencache._json: Lua values to JSON and back, exactly or not at all; a server's answer as well
   as it can be read. Tables are read raw: no metamethod of the caller's runs. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_read.h"
#include "core/json_write.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lint64.h"

#define ARRAY_METATABLE "tokencache.array"
#define FIELDS_OF_A_TOKEN 8 /* at most, as a rule: room for them is made at once */
#define NULL_VALUE NULL     /* the light userdata that cjson.null and ngx.null are, too */

TC_EXPORT int luaopen_tokencache__json(lua_State *L);

static void push_array_metatable(lua_State *L) {
  tc_lua_push_class(L, ARRAY_METATABLE, NULL, NULL);
}

/* ---- decode: a container being filled lies on the stack, in an object its key above it */

typedef struct decoder {
  lua_State *L;
  bool tolerant; /* of several fields of a name the last one counts */
  int depth;
  int lengths[TC_JSON_MAX_DEPTH]; /* of the arrays being filled; -1 for an object */
} decoder;

static void open_container(decoder *d, bool is_array) {
  lua_createtable(d->L, 0, d->depth <= 1 && !is_array ? FIELDS_OF_A_TOKEN : 0);
  if (is_array) {
    push_array_metatable(d->L);
    lua_setmetatable(d->L, -2);
  }
  d->lengths[d->depth++] = is_array ? 0 : -1;
}

/* Puts the finished value on the stack's top where it belongs. */
static void place_value(decoder *d) {
  if (d->depth == 0) return;
  int *length = &d->lengths[d->depth - 1];
  if (*length < 0) {
    lua_rawset(d->L, -3);
    return;
  }
  if (*length == INT_MAX) (void)luaL_error(d->L, "too many elements in an array");
  lua_rawseti(d->L, -2, ++*length);
}

static bool push_key(lua_State *L, tc_str key) {
  lua_pushlstring(L, key.data, key.len);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool is_new = lua_isnil(L, -1);
  lua_pop(L, 1);
  return is_new;
}

static int decode_event(decoder *d, const tc_json_reader *reader, tc_json_event event,
                        tc_error *err) {
  lua_State *L = d->L;
  switch (event) {
  case TC_JSON_KEY:
    if (push_key(L, reader->string) || d->tolerant) return 0;
    return tc_json_refuse(reader, "a duplicate key", err);
  case TC_JSON_OBJECT:
  case TC_JSON_ARRAY:
    open_container(d, event == TC_JSON_ARRAY);
    return 0;
  case TC_JSON_OBJECT_END:
  case TC_JSON_ARRAY_END:
    d->depth--;
    break;
  case TC_JSON_STRING:
    lua_pushlstring(L, reader->string.data, reader->string.len);
    break;
  case TC_JSON_INTEGER:
    tc_lua_push_int64(L, reader->integer);
    break;
  case TC_JSON_REAL:
    lua_pushnumber(L, reader->real);
    break;
  case TC_JSON_TRUE:
  case TC_JSON_FALSE:
    lua_pushboolean(L, event == TC_JSON_TRUE);
    break;
  case TC_JSON_NULL:
    lua_pushlightuserdata(L, NULL_VALUE);
    break;
  case TC_JSON_END:
    return 0;
  }
  place_value(d);
  return 0;
}

/* decode(text) -> value | nil, message; its upvalue: whether it is decode_answer, the tolerant one
 */
static int l_json_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  luaL_checkstack(L, 2 * TC_JSON_MAX_DEPTH + LUA_MINSTACK, "no room to decode");
  tc_str text;
  text.data = lua_tolstring(L, 1, &text.len);
  tc_buf *scratch = tc_lua_take_buf(L);

  decoder d = {.L = L, .tolerant = lua_toboolean(L, lua_upvalueindex(1))};
  tc_json_reader reader;
  tc_json_event event = TC_JSON_NULL;
  tc_error err;
  tc_error_clear(&err);
  tc_json_reader_init(&reader, text, scratch);
  if (d.tolerant) tc_json_tolerate(&reader);
  while (event != TC_JSON_END) {
    int rc = tc_json_read(&reader, &event, &err);
    if (rc == 0) rc = decode_event(&d, &reader, event, &err);
    if (rc == TC_ERR_NOMEM) return luaL_error(L, "not enough memory");
    if (rc != 0) {
      tc_lua_give_back_buf(scratch);
      lua_pushnil(L);
      lua_pushstring(L, err.message);
      return 2;
    }
  }
  tc_lua_give_back_buf(scratch);
  return 1;
}

static void push_decode(lua_State *L, bool tolerant) {
  lua_pushboolean(L, tolerant);
  lua_pushcclosure(L, l_json_decode, 1);
}

/* ---- encode */

/* The way from the outermost table to the value at hand, for messages. */
typedef struct place {
  const struct place *outer;
  tc_str key; /* of an object's field; absent in an array */
  int index;
} place;

typedef struct encoder {
  lua_State *L;
  tc_buf *buf;
  int array_metatable;
  int depth;
} encoder;

static void add_place(luaL_Buffer *b, const place *at) {
  if (at == NULL) return;
  add_place(b, at->outer);
  char shown[128];
  if (at->key.data == NULL) {
    (void)snprintf(shown, sizeof shown, "[%d]", at->index);
  } else {
    if (at->outer != NULL) luaL_addchar(b, '.');
    tc_error_copy_foreign(shown, sizeof shown, at->key);
  }
  luaL_addstring(b, shown);
}

/* Pushes the message; its result is encode_value's: false. */
static bool refuse(encoder *e, const place *at, const char *reason) {
  luaL_Buffer b;
  luaL_buffinit(e->L, &b);
  add_place(&b, at);
  if (at != NULL) luaL_addstring(&b, ": ");
  luaL_addstring(&b, reason);
  luaL_pushresult(&b);
  return false;
}

static bool refuse_type(encoder *e, const place *at) {
  char reason[64];
  (void)snprintf(reason, sizeof reason, "a %s cannot be stored as JSON", luaL_typename(e->L, -1));
  return refuse(e, at, reason);
}

typedef struct shape {
  bool is_array;
  int count;
  size_t key_bytes; /* of an object's keys, together */
} shape;

/* While values are written, Lua makes objects, and finalizers may run. */
static bool raise_change(lua_State *L) {
  (void)luaL_error(L, "encode: a finalizer has changed the table");
  return false;
}

static bool is_marked_array(encoder *e) {
  if (!lua_getmetatable(e->L, -1)) return false;
  bool same = lua_rawequal(e->L, -1, e->array_metatable);
  lua_pop(e->L, 1);
  return same;
}

/* Looks at the keys of the table on the top: all strings, or exactly 1..n. */
static bool find_shape(encoder *e, const place *at, shape *found) {
  lua_State *L = e->L;
  bool marked = is_marked_array(e);
  int strings = 0, total = 0;
  size_t bytes = 0;
  lua_Number highest = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (total++ == INT_MAX) return refuse(e, at, "the table has too many fields for JSON");
    if (lua_type(L, -1) == LUA_TSTRING) {
      strings++;
      bytes += lua_rawlen(L, -1);
    } else if (lua_type(L, -1) != LUA_TNUMBER) {
      return refuse(e, at, "the table has a key that is no string; JSON knows no other");
    } else {
      lua_Number key = lua_tonumber(L, -1);
      bool counts = key >= 1 && key <= INT_MAX && key == (lua_Number)(int)key;
      if (!counts) return refuse(e, at, "the table has a number as a key; make it a string");
      if (key > highest) highest = key;
    }
  }
  bool is_array = marked || (strings == 0 && total > 0);
  *found = (shape){.is_array = is_array, .count = total, .key_bytes = bytes};
  if (!found->is_array && strings == total) return true;
  if (strings > 0) return refuse(e, at, "the table mixes strings and numbers as keys; use one");
  /* distinct whole numbers from 1 on: no hole if there are as many as the highest says */
  if (highest != (lua_Number)total)
    return refuse(e, at, "the array has a hole; fill it or close up");
  return true;
}

static bool encode_value(encoder *e, const place *at);

static bool encode_array(encoder *e, const place *at, int count) {
  tc_buf_add_char(e->buf, '[');
  for (int i = 1; i <= count; i++) {
    place here = {.outer = at, .key = TC_STR_NONE, .index = i};
    if (i > 1) tc_buf_add_char(e->buf, ',');
    lua_rawgeti(e->L, -1, i);
    if (lua_isnil(e->L, -1)) return raise_change(e->L);
    if (!encode_value(e, &here)) return false;
    lua_pop(e->L, 1);
  }
  tc_buf_add_char(e->buf, ']');
  return true;
}

static int compare_keys(const void *left, const void *right) {
  return tc_str_compare(*(const tc_str *)left, *(const tc_str *)right);
}

/* Pushes a userdata with the table's keys, sorted: the same fields always make the same text. They
   are copies: a key that is taken out of the table while its value is written may be freed. */
static const tc_str *push_sorted_keys(lua_State *L, const shape *found) {
  size_t count = (size_t)found->count, used = 0, left = found->key_bytes;
  tc_str *keys = lua_newuserdata(L, count * sizeof *keys + left);
  char *room = (char *)(keys + count);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    tc_str key = TC_STR_NONE;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING || used == count) (void)raise_change(L);
    key.data = lua_tolstring(L, -1, &key.len);
    if (key.len > left) (void)raise_change(L);
    memcpy(room, key.data, key.len);
    keys[used++] = (tc_str){room, key.len};
    room += key.len;
    left -= key.len;
  }
  if (used != count) (void)raise_change(L);
  if (count > 1) qsort(keys, count, sizeof *keys, compare_keys);
  return keys;
}

static bool encode_object(encoder *e, const place *at, const shape *found) {
  const tc_str *keys = push_sorted_keys(e->L, found);
  tc_buf_add_char(e->buf, '{');
  for (int i = 0; i < found->count; i++) {
    place here = {.outer = at, .key = keys[i]};
    if (i > 0) tc_buf_add_char(e->buf, ',');
    if (memchr(keys[i].data, '\0', keys[i].len) != NULL) {
      return refuse(e, &here, "a NUL in a key cannot be stored as JSON");
    }
    if (!tc_json_add_string(e->buf, keys[i])) return refuse(e, &here, "the key is not UTF-8");
    tc_buf_add_char(e->buf, ':');
    lua_pushlstring(e->L, keys[i].data, keys[i].len);
    lua_rawget(e->L, -3);
    if (lua_isnil(e->L, -1)) return raise_change(e->L);
    if (!encode_value(e, &here)) return false;
    lua_pop(e->L, 1);
  }
  tc_buf_add_char(e->buf, '}');
  lua_pop(e->L, 1);
  return true;
}

static bool encode_table(encoder *e, const place *at) {
  shape found = {0};
  if (e->depth == TC_JSON_MAX_DEPTH) {
    return refuse(e, NULL, "tables nested too deeply, or in a circle, cannot be stored as JSON");
  }
  if (!find_shape(e, at, &found)) return false;
  e->depth++;
  bool ok = found.is_array ? encode_array(e, at, found.count) : encode_object(e, at, &found);
  e->depth--;
  return ok;
}

static bool encode_number(encoder *e, const place *at) {
  int64_t integer;
  if (tc_lua_get_int64(e->L, -1, &integer)) {
    tc_json_add_integer(e->buf, integer);
    return true;
  }
  if (lua_type(e->L, -1) != LUA_TNUMBER) return refuse_type(e, at);
  if (tc_json_add_real(e->buf, lua_tonumber(e->L, -1))) return true;
  return refuse(e, at, "infinity and NaN cannot be stored as JSON");
}

/* Adds the value on the top, which stays there. False with a message above it. */
static bool encode_value(encoder *e, const place *at) {
  lua_State *L = e->L;
  tc_str text;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE:
    return encode_table(e, at);
  case LUA_TSTRING:
    text.data = lua_tolstring(L, -1, &text.len);
    return tc_json_add_string(e->buf, text) || refuse(e, at, "the string is not UTF-8");
  case LUA_TBOOLEAN:
    tc_buf_add_text(e->buf, lua_toboolean(L, -1) ? "true" : "false");
    return true;
  case LUA_TLIGHTUSERDATA:
    if (lua_touserdata(L, -1) != NULL_VALUE) return refuse_type(e, at);
    tc_buf_add_text(e->buf, "null");
    return true;
  case LUA_TNUMBER:
  case LUA_TUSERDATA:
    return encode_number(e, at);
  default:
    return refuse_type(e, at);
  }
}

/* encode(value) -> text | nil, message */
static int l_json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  luaL_checkstack(L, 4 * TC_JSON_MAX_DEPTH + LUA_MINSTACK, "no room to encode");
  encoder e = {.L = L};
  e.buf = tc_lua_take_buf(L);
  push_array_metatable(L);
  e.array_metatable = lua_gettop(L);
  lua_pushvalue(L, 1);
  if (!encode_value(&e, NULL)) {
    tc_lua_give_back_buf(e.buf);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  return tc_lua_return_buf(L, e.buf);
}

/* Replaces the decoded value on the top by a copy. */
static void copy_value(lua_State *L, int depth) {
  if (lua_type(L, -1) != LUA_TTABLE) return;
  if (depth == TC_JSON_MAX_DEPTH) (void)luaL_error(L, "copy: tables nested too deeply");
  lua_createtable(L, (int)lua_rawlen(L, -1), depth == 0 ? FIELDS_OF_A_TOKEN : 0);
  if (lua_getmetatable(L, -2)) lua_setmetatable(L, -2);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    copy_value(L, depth + 1);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* copy(value) -> a copy of what decode returned, tables in it copied too */
static int l_json_copy(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  luaL_checkstack(L, 3 * TC_JSON_MAX_DEPTH + LUA_MINSTACK, "no room to copy");
  copy_value(L, 0);
  return 1;
}

/* array([t]) -> t, from now on an array even while empty */
static int l_json_array(lua_State *L) {
  if (lua_isnone(L, 1)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_array_metatable(L);
  if (lua_getmetatable(L, 1)) {
    luaL_argcheck(L, lua_rawequal(L, -1, 2), 1, "a table without a metatable expected");
    lua_pop(L, 1);
  }
  lua_setmetatable(L, 1);
  return 1;
}

int luaopen_tokencache__json(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"encode", l_json_encode},
      {"copy", l_json_copy},
      {"array", l_json_array},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  push_decode(L, false);
  lua_setfield(L, -2, "decode");
  push_decode(L, true);
  lua_setfield(L, -2, "decode_answer");
  lua_pushlightuserdata(L, NULL_VALUE);
  lua_setfield(L, -2, "null");
  return 1;
}
