/* tokencache._crypto: what needs OpenSSL's libcrypto. */
#include "backend/crypto.h"
#include "backend/jws.h"
#include "core/secret.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lerror.h"

#define MOST_RANDOM 65536 /* bytes at once */

TC_EXPORT int luaopen_tokencache__crypto(lua_State *L);

static tc_str check_secret(lua_State *L, int index) {
  tc_str secret = tc_lua_check_str(L, index);
  luaL_argcheck(L, secret.len >= TC_SEAL_SECRET_MIN, index, "secret has less than 16 bytes");
  return secret;
}

static tc_str check_sealable(lua_State *L, int index) {
  tc_str text = tc_lua_check_str(L, index);
  luaL_argcheck(L, text.len <= TC_SEAL_MAX, index, "too long to be sealed");
  return text;
}

/* random(n) -> n bytes; nil, err */
static int l_crypto_random(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  tc_error err = TC_ERROR_NONE;
  luaL_argcheck(L, count >= 1 && count <= MOST_RANDOM, 1, "n must be from 1 to 65536");
  tc_buf *buf = tc_lua_new_buf(L);
  char *to = tc_buf_reserve(buf, (size_t)count);
  if (to == NULL) return luaL_error(L, "not enough memory");
  if (tc_random(to, (size_t)count, &err) < 0) return tc_lua_fail(L, &err);
  buf->len = (size_t)count;
  return tc_lua_return_buf(L, buf);
}

/* sha256(bytes) -> the digest's 32 bytes; nil, err */
static int l_crypto_sha256(lua_State *L) {
  char digest[TC_SHA256_SIZE];
  tc_error err = TC_ERROR_NONE;
  if (tc_sha256(tc_lua_check_str(L, 1), digest, &err) < 0) return tc_lua_fail(L, &err);
  lua_pushlstring(L, digest, sizeof digest);
  return 1;
}

static int push_digest(lua_State *L, const char *digest, int len, const tc_error *err) {
  if (len == TC_ERR_INVALID) return luaL_argerror(L, 1, err->message);
  if (len < 0) return tc_lua_fail(L, err);
  lua_pushlstring(L, digest, (size_t)len);
  return 1;
}

/* digest(name, bytes) -> the digest's bytes; nil, err */
static int l_crypto_digest(lua_State *L) {
  char digest[TC_DIGEST_MAX];
  tc_error err = TC_ERROR_NONE;
  int len = tc_digest(luaL_checkstring(L, 1), tc_lua_check_str(L, 2), digest, &err);
  return push_digest(L, digest, len, &err);
}

/* hmac(name, key, bytes) -> the digest's bytes (RFC 2104); nil, err */
static int l_crypto_hmac(lua_State *L) {
  char digest[TC_DIGEST_MAX];
  tc_error err = TC_ERROR_NONE;
  int len =
      tc_hmac(luaL_checkstring(L, 1), tc_lua_check_str(L, 2), tc_lua_check_str(L, 3), digest, &err);
  int pushed = push_digest(L, digest, len, &err);
  tc_wipe(digest, sizeof digest);
  return pushed;
}

/* equal(a, b) -> whether they are, in a time that does not tell where they differ */
static int l_crypto_equal(lua_State *L) {
  lua_pushboolean(L, tc_secret_equal(tc_lua_check_str(L, 1), tc_lua_check_str(L, 2)));
  return 1;
}

/* seal(secret, aad, plaintext) -> bytes; nil, err */
static int l_crypto_seal(lua_State *L) {
  tc_str secret = check_secret(L, 1);
  tc_str aad = check_sealable(L, 2);
  tc_str plaintext = check_sealable(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_new_buf(L);
  if (tc_seal(out, secret, aad, plaintext, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* open(secret, aad, bytes) -> plaintext; nil where this secret and aad did not seal it; nil, err */
static int l_crypto_open(lua_State *L) {
  tc_str secret = check_secret(L, 1);
  tc_str aad = check_sealable(L, 2);
  tc_str sealed = tc_lua_check_str(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_new_buf(L);
  int status = tc_unseal(out, secret, aad, sealed, &err);
  if (status < 0) return tc_lua_fail(L, &err);
  if (status != TC_SEAL_FORGED) return tc_lua_return_buf(L, out);
  tc_buf_free(out);
  lua_pushnil(L);
  return 1;
}

/* verify(alg, n or x, e or y, input, signature) -> whether the holder of that key has signed the
   input; nil, err: the key must not be used. As in a JWS (RFC 7515), but decoded. */
static int l_crypto_verify(lua_State *L) {
  tc_error err = TC_ERROR_NONE;
  int status = tc_jws_verify(tc_lua_check_str(L, 1), tc_lua_check_str(L, 2), tc_lua_check_str(L, 3),
                             tc_lua_check_str(L, 4), tc_lua_check_str(L, 5), &err);
  if (status < 0) return tc_lua_fail(L, &err);
  lua_pushboolean(L, status == 0);
  return 1;
}

int luaopen_tokencache__crypto(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"random", l_crypto_random}, {"sha256", l_crypto_sha256}, {"digest", l_crypto_digest},
      {"hmac", l_crypto_hmac},     {"equal", l_crypto_equal},   {"seal", l_crypto_seal},
      {"open", l_crypto_open},     {"verify", l_crypto_verify}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
