#include "backend/private_key.h"

#include "core/secret.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lparts.h"

#define METATABLE "tokencache.private_key"

static int l_private_key_close(lua_State *L) {
  tc_private_key **self = luaL_checkudata(L, 1, METATABLE);
  tc_private_key_free(*self);
  *self = NULL;
  return 0;
}

static tc_private_key *check_open(lua_State *L) {
  tc_private_key **self = tc_lua_check_self(L, METATABLE);
  if (*self == NULL) luaL_error(L, "the key is closed");
  return *self;
}

/* key:alg() -> "RS256" or "ES256": what it signs with unless told */
static int l_private_key_alg(lua_State *L) {
  lua_pushstring(L, tc_private_key_alg(check_open(L)));
  return 1;
}

/* key:sign(alg, header, claims) -> a JWS in the compact form; nil, err */
static int l_private_key_sign(lua_State *L) {
  tc_private_key *key = check_open(L);
  tc_str alg = tc_lua_check_str(L, 2), header = tc_lua_check_str(L, 3),
         claims = tc_lua_check_str(L, 4);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_take_buf(L);
  if (tc_private_key_sign(key, alg, header, claims, out, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* key:numbers(), of P-256 -> x, y, d; nil, err */
static int l_private_key_numbers(lua_State *L) {
  char numbers[TC_EC_NUMBERS][TC_JWS_COORDINATE];
  tc_error err = TC_ERROR_NONE;
  if (tc_private_key_ec_numbers(check_open(L), numbers, &err) < 0) return tc_lua_fail(L, &err);
  for (int i = 0; i < TC_EC_NUMBERS; i++) lua_pushlstring(L, numbers[i], TC_JWS_COORDINATE);
  tc_wipe(numbers, sizeof numbers);
  return TC_EC_NUMBERS;
}

static tc_private_key **new_closed(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"alg", l_private_key_alg},
      {"sign", l_private_key_sign},
      {"numbers", l_private_key_numbers},
      {"close", l_private_key_close},
      {NULL, NULL},
  };
  return tc_lua_new_object(L, sizeof(tc_private_key *), METATABLE, methods, l_private_key_close);
}

/* new_key() -> key, on P-256; nil, err */
static int l_private_key_new(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  tc_private_key **made = new_closed(L);
  return tc_private_key_new(made, &err) < 0 ? tc_lua_fail(L, &err) : 1;
}

/* read_key(pem, passphrase) -> key; nil, err */
static int l_private_key_read_pem(lua_State *L) {
  tc_str pem = tc_lua_check_str(L, 1), passphrase = tc_lua_check_str(L, 2);
  tc_error err = TC_ERROR_NONE;
  tc_private_key **made = new_closed(L);
  return tc_private_key_read_pem(made, pem, passphrase, &err) < 0 ? tc_lua_fail(L, &err) : 1;
}

/* read_rsa_key(n, e, d, p, q, dp, dq, qi), each may be empty -> key; nil, err */
static int l_private_key_read_rsa(lua_State *L) {
  tc_str numbers[TC_RSA_NUMBERS];
  tc_error err = TC_ERROR_NONE;
  for (int i = 0; i < TC_RSA_NUMBERS; i++) numbers[i] = tc_lua_check_str(L, i + 1);
  tc_private_key **made = new_closed(L);
  return tc_private_key_read_rsa(made, numbers, &err) < 0 ? tc_lua_fail(L, &err) : 1;
}

/* read_ec_key(x, y, d), of P-256 -> key; nil, err */
static int l_private_key_read_ec(lua_State *L) {
  tc_str x = tc_lua_check_str(L, 1), y = tc_lua_check_str(L, 2), d = tc_lua_check_str(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_private_key **made = new_closed(L);
  return tc_private_key_read_ec(made, x, y, d, &err) < 0 ? tc_lua_fail(L, &err) : 1;
}

void tc_lua_open_private_key(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new_key", l_private_key_new},
      {"read_key", l_private_key_read_pem},
      {"read_rsa_key", l_private_key_read_rsa},
      {"read_ec_key", l_private_key_read_ec},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
