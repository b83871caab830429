#include "backend/crypto.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "OpenSSL 3 or later is needed"
#endif

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16

_Static_assert(NONCE_SIZE + TAG_SIZE == TC_SEAL_OVERHEAD, "what sealing adds");

/* Part of the format: another use of the same secret gets another key. */
static const char LABEL[] = "tokencache seal 1";

static unsigned char *bytes_of(char *text) {
  return (unsigned char *)text;
}

static const unsigned char *const_bytes_of(tc_str text) {
  return (const unsigned char *)(text.data != NULL ? text.data : "");
}

int tc_crypto_failed(tc_error *err, const char *what) {
  return tc_error_set(err, TC_ERR_UNAVAILABLE,
                      "libcrypto: %s failed; out of memory, or check OpenSSL's configuration",
                      what);
}

int tc_random(char *to, size_t len, tc_error *err) {
  int status = 0;
  if (len > INT_MAX) return tc_error_set(err, TC_ERR_INVALID, "too many random bytes at once");
  ERR_set_mark();
  if (RAND_bytes(bytes_of(to), (int)len) != 1) status = tc_crypto_failed(err, "its random source");
  ERR_pop_to_mark();
  return status;
}

int tc_sha256(tc_str bytes, char digest[TC_SHA256_SIZE], tc_error *err) {
  int status = 0;
  ERR_set_mark();
  if (EVP_Digest(const_bytes_of(bytes), bytes.len, bytes_of(digest), NULL, EVP_sha256(), NULL) !=
      1) {
    status = tc_crypto_failed(err, "SHA-256");
  }
  ERR_pop_to_mark();
  return status;
}

static const EVP_MD *find_digest(const char *name, tc_error *err) {
  const EVP_MD *digest = EVP_get_digestbyname(name);
  if (digest == NULL) (void)tc_error_set(err, TC_ERR_INVALID, "there is no digest of that name");
  return digest;
}

int tc_digest(const char *name, tc_str bytes, char digest[TC_DIGEST_MAX], tc_error *err) {
  unsigned len = 0;
  ERR_set_mark();
  const EVP_MD *type = find_digest(name, err);
  bool done = type != NULL &&
              EVP_Digest(const_bytes_of(bytes), bytes.len, bytes_of(digest), &len, type, NULL) == 1;
  ERR_pop_to_mark();
  if (type == NULL) return err->number;
  return done ? (int)len : tc_crypto_failed(err, "the digest");
}

int tc_hmac_open(tc_hmac *self, const char *name, tc_str key, tc_error *err) {
  /* libcrypto takes a pointer to what it only reads */
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)name, 0),
      OSSL_PARAM_construct_end(),
  };
  ERR_set_mark();
  const EVP_MD *type = find_digest(name, err);
  EVP_MAC *mac = type != NULL ? EVP_MAC_fetch(NULL, "HMAC", NULL) : NULL;
  self->context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
  bool done = self->context != NULL &&
              EVP_MAC_init(self->context, const_bytes_of(key), key.len, params) == 1;
  EVP_MAC_free(mac);
  ERR_pop_to_mark();
  if (type == NULL) return err->number;
  return done ? 0 : tc_crypto_failed(err, "HMAC");
}

int tc_hmac_of(tc_hmac *self, tc_str bytes, char digest[TC_DIGEST_MAX], tc_error *err) {
  size_t len = 0;
  ERR_set_mark();
  bool done = EVP_MAC_init(self->context, NULL, 0, NULL) == 1 && /* with the same key */
              EVP_MAC_update(self->context, const_bytes_of(bytes), bytes.len) == 1 &&
              EVP_MAC_final(self->context, bytes_of(digest), &len, TC_DIGEST_MAX) == 1;
  ERR_pop_to_mark();
  return done ? (int)len : tc_crypto_failed(err, "HMAC");
}

void tc_hmac_close(tc_hmac *self) {
  EVP_MAC_CTX_free(self->context);
  self->context = NULL;
}

static bool derive_key(unsigned char key[KEY_SIZE], tc_str secret) {
  /* libcrypto takes pointers to what it only reads */
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.data,
                                        secret.len),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)LABEL,
                                        sizeof LABEL - 1),
      OSSL_PARAM_construct_end(),
  };
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
  bool done = context != NULL && EVP_KDF_derive(context, key, KEY_SIZE, params) == 1;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  return done;
}

/* Both directions: `encrypt` is 1 or 0. With the key and nonce set, the aad taken in. */
static bool begin(EVP_CIPHER_CTX *cipher, tc_str secret, const unsigned char *nonce, tc_str aad,
                  int encrypt) {
  unsigned char key[KEY_SIZE];
  int len = 0;
  bool done = derive_key(key, secret) &&
              EVP_CipherInit_ex2(cipher, EVP_aes_256_gcm(), key, nonce, encrypt, NULL) == 1 &&
              EVP_CipherUpdate(cipher, NULL, &len, const_bytes_of(aad), (int)aad.len) == 1;
  OPENSSL_cleanse(key, sizeof key);
  return done;
}

static bool encrypt(EVP_CIPHER_CTX *cipher, unsigned char *to, tc_str secret, tc_str aad,
                    tc_str plaintext) {
  unsigned char *nonce = to, *text = to + NONCE_SIZE, *tag = text + plaintext.len;
  int len = 0, rest = 0;
  return RAND_bytes(nonce, NONCE_SIZE) == 1 && begin(cipher, secret, nonce, aad, 1) &&
         EVP_CipherUpdate(cipher, text, &len, const_bytes_of(plaintext), (int)plaintext.len) == 1 &&
         EVP_CipherFinal_ex(cipher, text + len, &rest) == 1 &&
         (size_t)len + (size_t)rest == plaintext.len &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) == 1;
}

/* 1, 0 where the tag does not fit, negative where libcrypto failed. */
static int decrypt(EVP_CIPHER_CTX *cipher, unsigned char *to, tc_str secret, tc_str aad,
                   const unsigned char *sealed, size_t text_len) {
  const unsigned char *text = sealed + NONCE_SIZE;
  void *tag = (void *)(uintptr_t)(text + text_len); /* only read */
  int len = 0, rest = 0;
  if (!begin(cipher, secret, sealed, aad, 0) ||
      EVP_CipherUpdate(cipher, to, &len, text, (int)text_len) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1) {
    return -1;
  }
  return EVP_CipherFinal_ex(cipher, to + len, &rest) == 1;
}

static int check_lengths(tc_str secret, tc_str aad, tc_str text, tc_error *err) {
  if (secret.len < TC_SEAL_SECRET_MIN) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "the secret must have at least %d bytes; take 32 "
                        "random ones",
                        TC_SEAL_SECRET_MIN);
  }
  if (text.len > TC_SEAL_MAX || aad.len > TC_SEAL_MAX) {
    return tc_error_set(err, TC_ERR_INVALID, "more than %d bytes cannot be sealed at once",
                        TC_SEAL_MAX);
  }
  return 0;
}

int tc_seal(tc_buf *out, tc_str secret, tc_str aad, tc_str plaintext, tc_error *err) {
  int status = check_lengths(secret, aad, plaintext, err);
  if (status < 0) return status;
  size_t len = plaintext.len + TC_SEAL_OVERHEAD;
  char *to = tc_buf_reserve(out, len);
  ERR_set_mark();
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  if (to == NULL || cipher == NULL) {
    status = tc_error_set(err, TC_ERR_NOMEM, NULL);
  } else if (!encrypt(cipher, bytes_of(to), secret, aad, plaintext)) {
    OPENSSL_cleanse(to, len);
    status = tc_crypto_failed(err, "AES-256-GCM");
  } else {
    out->len += len;
  }
  EVP_CIPHER_CTX_free(cipher);
  ERR_pop_to_mark();
  return status;
}

int tc_unseal(tc_buf *out, tc_str secret, tc_str aad, tc_str sealed, tc_error *err) {
  int status = check_lengths(secret, aad, sealed, err);
  if (status < 0) return status;
  if (sealed.len < TC_SEAL_OVERHEAD) return TC_SEAL_FORGED;
  size_t len = sealed.len - TC_SEAL_OVERHEAD;
  char *to = tc_buf_reserve(out, len);
  ERR_set_mark();
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  if (to == NULL || cipher == NULL) {
    status = tc_error_set(err, TC_ERR_NOMEM, NULL);
  } else {
    int fits = decrypt(cipher, bytes_of(to), secret, aad, const_bytes_of(sealed), len);
    if (fits < 0) status = tc_crypto_failed(err, "AES-256-GCM");
    if (fits == 0) status = TC_SEAL_FORGED;
    if (fits > 0) out->len += len;
    if (fits <= 0) OPENSSL_cleanse(to, len);
  }
  EVP_CIPHER_CTX_free(cipher);
  ERR_pop_to_mark();
  return status;
}
