/* tokencache._crypto: what needs OpenSSL's libcrypto. */
#include <stdint.h>

#include "backend/crypto.h"
#include "backend/jws.h"
#include "core/base64.h"
#include "core/secret.h"
#include "lua/largument.h"
#include "lua/lbuf.h"
#include "lua/lclass.h"
#include "lua/lerror.h"
#include "lua/lparts.h"

#define MOST_RANDOM 65536 /* bytes at once */
#define MOST_DIGITS 8     /* of a number: 48 bits */
#define HMAC_METATABLE "tokencache.hmac"

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
  tc_buf *buf = tc_lua_take_buf(L);
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

static tc_hmac *check_hmac(lua_State *L) {
  tc_hmac *self = tc_lua_check_self(L, HMAC_METATABLE);
  luaL_argcheck(L, self->context != NULL, 1, "a key that has been closed");
  return self;
}

static int l_hmac_close(lua_State *L) {
  tc_hmac_close(luaL_checkudata(L, 1, HMAC_METATABLE));
  return 0;
}

/* key:digest(bytes) -> the digest's bytes; nil, err */
static int l_hmac_digest(lua_State *L) {
  char digest[TC_DIGEST_MAX];
  tc_error err = TC_ERROR_NONE;
  int len = tc_hmac_of(check_hmac(L), tc_lua_check_str(L, 2), digest, &err);
  return push_digest(L, digest, len, &err);
}

/* Appends base64url(HMAC(key, bytes)). */
static int add_signature(tc_buf *out, tc_hmac *key, tc_str bytes, tc_error *err) {
  char digest[TC_DIGEST_MAX];
  int len = tc_hmac_of(key, bytes, digest, err);
  if (len < 0) return len;
  tc_base64url_encode(out, (tc_str){digest, (size_t)len});
  return out->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
}

/* key:sign(text, separator) -> the text, the separator and the signature; nil, err */
static int l_hmac_sign(lua_State *L) {
  tc_hmac *self = check_hmac(L);
  tc_str text = tc_lua_check_str(L, 2);
  const char *separator = luaL_checkstring(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_take_buf(L);
  tc_buf_add_str(out, text);
  tc_buf_add_char(out, *separator);
  if (add_signature(out, self, text, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* The bytes before the last one that is `c`; nothing: there is none. */
static tc_str before_last(tc_str text, char c) {
  while (text.len > 0 && text.data[text.len - 1] != c) text.len--;
  return text.len > 0 ? (tc_str){text.data, text.len - 1} : TC_STR_NONE;
}

/* The number that digits are, the first of `alphabet` being zero; 64 of them are base64, and the
   number one of whole bytes. -1: these are none, or too many. */
static double read_number(tc_str text, tc_str alphabet) {
  int64_t number = 0;
  if (text.len == 0 || text.len > MOST_DIGITS) return -1;
  for (size_t i = 0; i < text.len; i++) {
    const char *digit = memchr(alphabet.data, text.data[i], alphabet.len);
    if (digit == NULL) return -1;
    number = number * (int64_t)alphabet.len + (digit - alphabet.data);
  }
  return (double)(alphabet.len == 64 ? number >> 6 * text.len % 8 : number);
}

/* key:verify(text, separator, digits) -> how many bytes are before the last separator, where what
   is behind it is their signature; how many before the last but one, if there is one; and the
   number between the two, if there is one; false: this key did not sign it; nil, err */
static int l_hmac_verify(lua_State *L) {
  tc_hmac *self = check_hmac(L);
  tc_str text = tc_lua_check_str(L, 2);
  char separator = *luaL_checkstring(L, 3);
  tc_str digits = tc_lua_check_str(L, 4);
  luaL_argcheck(L, digits.len > 0 && digits.len <= 64, 4, "1 to 64 digits expected");
  tc_str signed_part = before_last(text, separator);
  tc_buf own = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  bool fits = false;
  if (signed_part.data != NULL) {
    tc_str given = {text.data + signed_part.len + 1, text.len - signed_part.len - 1};
    int status = add_signature(&own, self, signed_part, &err);
    fits = status == 0 && tc_secret_equal(tc_buf_str(&own), given);
    tc_buf_free(&own);
    if (status < 0) return tc_lua_fail(L, &err);
  }
  if (!fits) {
    lua_pushboolean(L, 0);
    return 1;
  }
  tc_str rest = before_last(signed_part, separator);
  lua_pushinteger(L, (lua_Integer)signed_part.len);
  if (rest.data == NULL) return 1;
  lua_pushinteger(L, (lua_Integer)rest.len);
  double number =
      read_number((tc_str){rest.data + rest.len + 1, signed_part.len - rest.len - 1}, digits);
  if (number < 0) return 2;
  lua_pushnumber(L, (lua_Number)number);
  return 3;
}

/* hmac(name, key) -> a key; nil, err */
static int l_crypto_hmac(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"digest", l_hmac_digest}, {"sign", l_hmac_sign}, {"verify", l_hmac_verify}, {NULL, NULL}};
  const char *name = luaL_checkstring(L, 1);
  tc_str key = tc_lua_check_str(L, 2);
  tc_error err = TC_ERROR_NONE;
  tc_hmac *self = tc_lua_new_object(L, sizeof *self, HMAC_METATABLE, methods, l_hmac_close);
  int status = tc_hmac_open(self, name, key, &err);
  if (status == TC_ERR_INVALID) return luaL_argerror(L, 1, err.message);
  return status < 0 ? tc_lua_fail(L, &err) : 1;
}

/* seal(secret, aad, plaintext) -> bytes; nil, err */
static int l_crypto_seal(lua_State *L) {
  tc_str secret = check_secret(L, 1);
  tc_str aad = check_sealable(L, 2);
  tc_str plaintext = check_sealable(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_take_buf(L);
  if (tc_seal(out, secret, aad, plaintext, &err) < 0) return tc_lua_fail(L, &err);
  return tc_lua_return_buf(L, out);
}

/* open(secret, aad, bytes) -> plaintext; nil where this secret and aad did not seal it; nil, err */
static int l_crypto_open(lua_State *L) {
  tc_str secret = check_secret(L, 1);
  tc_str aad = check_sealable(L, 2);
  tc_str sealed = tc_lua_check_str(L, 3);
  tc_error err = TC_ERROR_NONE;
  tc_buf *out = tc_lua_take_buf(L);
  int status = tc_unseal(out, secret, aad, sealed, &err);
  if (status < 0) return tc_lua_fail(L, &err);
  if (status != TC_SEAL_FORGED) return tc_lua_return_buf(L, out);
  tc_lua_give_back_buf(out);
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
      {"random", l_crypto_random}, {"sha256", l_crypto_sha256},
      {"digest", l_crypto_digest}, {"hmac", l_crypto_hmac},
      {"seal", l_crypto_seal},     {"open", l_crypto_open},
      {"verify", l_crypto_verify}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  tc_lua_ready_buf(L);
  tc_lua_open_private_key(L);
  return 1;
}
