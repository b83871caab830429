/* tokencache._http: the HTTP client, which needs libcurl. */
#include "backend/clock.h"
#include "backend/http.h"
#include "lua/largument.h"
#include "lua/lclass.h"
#include "lua/lerror.h"

#define METATABLE "tokencache.http"
#define MOST_HEADERS 64      /* of a request */
#define DEFAULT_TIMEOUT 30.0 /* seconds, for requests that name no end */

TC_EXPORT int luaopen_tokencache__http(lua_State *L);

typedef struct l_http {
  tc_http *http; /* NULL: closed */
  tc_http_answer answer;
} l_http;

/* Wrong types are named by field: callers of the transport never see our argument numbers. */
static const char *check_text(lua_State *L, int index, const char *field, size_t *len) {
  if (lua_type(L, index) != LUA_TSTRING) {
    luaL_error(L, "request: %s must be a string, not %s", field, luaL_typename(L, index));
  }
  const char *text = lua_tolstring(L, index, len);
  if (len == NULL && strlen(text) != lua_rawlen(L, index)) {
    luaL_error(L, "request: %s holds a NUL byte", field);
  }
  return text;
}

static tc_http_method check_method(lua_State *L, int index) {
  const char *method = check_text(L, index, "method", NULL);
  if (strcmp(method, "GET") == 0) return TC_HTTP_GET;
  if (strcmp(method, "POST") == 0) return TC_HTTP_POST;
  luaL_error(L, "request: method must be \"GET\" or \"POST\"");
  return TC_HTTP_GET;
}

static double check_number(lua_State *L, int index, const char *field) {
  if (lua_type(L, index) != LUA_TNUMBER) {
    luaL_error(L, "request: %s must be a number, not %s", field, luaL_typename(L, index));
  }
  return (double)lua_tonumber(L, index);
}

/* The earlier of the two counts. */
static double check_time_left(lua_State *L, int timeout, int deadline) {
  if (lua_isnil(L, deadline)) {
    return lua_isnil(L, timeout) ? DEFAULT_TIMEOUT : check_number(L, timeout, "timeout");
  }
  double left = check_number(L, deadline, "deadline") - tc_monotonic();
  double most = lua_isnil(L, timeout) ? left : check_number(L, timeout, "timeout");
  return most < left ? most : left;
}

/* Fills the list; its texts belong to the table. Returns how many there are. */
static size_t check_headers(lua_State *L, int index, tc_http_header headers[MOST_HEADERS]) {
  size_t count = 0;
  if (lua_type(L, index) != LUA_TTABLE) {
    luaL_error(L, "request: headers must be a table, not %s", luaL_typename(L, index));
  }
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1), count++) {
    if (count == MOST_HEADERS) luaL_error(L, "request: more than %d headers", MOST_HEADERS);
    headers[count].name = tc_str_of(check_text(L, -2, "a header's name", NULL));
    headers[count].value = tc_str_of(check_text(L, -1, "a header's value", NULL));
  }
  return count;
}

static void push_lowered(lua_State *L, tc_str name) {
  luaL_Buffer lowered;
  luaL_buffinit(L, &lowered);
  for (size_t i = 0; i < name.len; i++) {
    char c = name.data[i];
    luaL_addchar(&lowered, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
  }
  luaL_pushresult(&lowered);
}

/* headers(text) -> { name = value }, of what request() returned; names in lower case. Fields of one
   name are joined (RFC 9110 §5.3). */
static int l_http_headers(lua_State *L) {
  tc_str text = tc_lua_check_str(L, 1);
  tc_http_header header;
  lua_newtable(L);
  for (size_t at = 0; tc_http_next_header(text, &at, &header);) {
    push_lowered(L, header.name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushlstring(L, header.value.data, header.value.len);
    } else {
      lua_pushliteral(L, ", ");
      lua_pushlstring(L, header.value.data, header.value.len);
      lua_concat(L, 3);
    }
    lua_rawset(L, -3);
  }
  return 1;
}

static void push_buf(lua_State *L, const tc_buf *buf) {
  lua_pushlstring(L, tc_buf_str(buf).data, buf->len);
}

static int push_failure(lua_State *L, const l_http *self, const tc_error *err) {
  int results = tc_lua_fail(L, err);
  lua_pushboolean(L, self->answer.sent);
  lua_setfield(L, -2, "sent");
  return results;
}

/* Reports whether an answer broke off in its body, or has not ended in time. */
static bool has_begun(const tc_http_answer *answer, const tc_error *err) {
  return answer->status != 0 && answer->body.len > 0 && tc_kind_is_passing(err->kind) &&
         err->number != TC_ERR_NOMEM;
}

/* What has come of a request. */
static int push_end(lua_State *L, l_http *self, int status, const tc_error *err) {
  int failed = status < 0 ? push_failure(L, self, err) : 0;
  if (failed > 0 && !has_begun(&self->answer, err)) {
    tc_buf_free(&self->answer.body);
    return failed;
  }
  lua_pushinteger(L, self->answer.status);
  push_buf(L, &self->answer.headers);
  push_buf(L, &self->answer.body);
  tc_http_answer_free(&self->answer);
  return failed + 3;
}

static l_http *check_open(lua_State *L) {
  l_http *self = tc_lua_check_self(L, METATABLE);
  if (self->http == NULL) luaL_error(L, "request: the HTTP client is closed");
  return self;
}

/* Its strings belong to the stack. */
static tc_http_request check_request(lua_State *L, tc_http_header headers[MOST_HEADERS]) {
  tc_http_request request = {.body = TC_STR_NONE, .headers = headers};
  lua_settop(L, 10);
  request.method = check_method(L, 2);
  request.url = check_text(L, 3, "url", NULL);
  if (!lua_isnil(L, 5)) request.body.data = check_text(L, 5, "body", &request.body.len);
  request.timeout = check_time_left(L, 6, 7);
  if (!lua_isnil(L, 8)) {
    request.certificate.data = check_text(L, 8, "certificate", &request.certificate.len);
    request.key.data = check_text(L, 9, "key", &request.key.len);
    request.passphrase = lua_isnil(L, 10) ? NULL : check_text(L, 10, "passphrase", NULL);
  }
  if (!lua_isnil(L, 4)) request.header_count = check_headers(L, 4, headers);
  return request;
}

/* handle:start(method, url, headers | nil, body | nil, timeout | nil, deadline | nil[, certificate,
   key[, passphrase]]) -> true; nil, err */
static int l_http_start(lua_State *L) {
  l_http *self = check_open(L);
  tc_http_header headers[MOST_HEADERS];
  tc_http_request request = check_request(L, headers);
  tc_error err;
  tc_error_clear(&err);
  int status = tc_http_start(self->http, &request, &self->answer, &err);
  if (status < 0) return push_end(L, self, status, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* handle:continue(seconds), after start -> false while there is no answer; status, text of the
   headers, body; nil, err with err.sent = false where the server has certainly not seen the
   request, and where an answer broke off status, headers and body so far */
static int l_http_continue(lua_State *L) {
  l_http *self = check_open(L);
  tc_error err;
  tc_error_clear(&err);
  int status = tc_http_continue(self->http, (double)luaL_checknumber(L, 2), &err);
  if (status != TC_HTTP_PENDING) return push_end(L, self, status, &err);
  lua_pushboolean(L, false);
  return 1;
}

/* handle:close(), any number of times */
static int l_http_close(lua_State *L) {
  l_http *self = tc_lua_check_self(L, METATABLE);
  tc_http_close(self->http);
  self->http = NULL;
  tc_http_answer_free(&self->answer);
  return 0;
}

static l_http *new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"start", l_http_start},
      {"continue", l_http_continue},
      {"close", l_http_close},
      {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(l_http), METATABLE, methods, l_http_close);
}

/* new(proxy | nil, ca_file | nil, connect_timeout) -> handle */
static int l_http_new(lua_State *L) {
  tc_http_options options = {
      .proxy = luaL_optstring(L, 1, NULL),
      .ca_file = luaL_optstring(L, 2, NULL),
      .connect_timeout = (double)luaL_checknumber(L, 3),
  };
  tc_error err = TC_ERROR_NONE;
  l_http *self = new_closed(L);
  if (tc_http_open(&self->http, &options, &err) < 0) return tc_lua_fail(L, &err);
  return 1;
}

int luaopen_tokencache__http(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", l_http_new},
      {"headers", l_http_headers},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
