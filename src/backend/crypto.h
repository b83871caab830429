/* Random bytes, digests and sealed messages, over OpenSSL's libcrypto. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

#define TC_SHA256_SIZE 32      /* bytes */
#define TC_SEAL_SECRET_MIN 16  /* bytes */
#define TC_SEAL_OVERHEAD 28    /* bytes that sealing adds: nonce and tag */
#define TC_SEAL_MAX 0x40000000 /* bytes of a message, and of what goes with it */
#define TC_SEAL_FORGED 1

/* For what failed in libcrypto. OpenSSL's own words go no further, and do not always say when
   memory ran out. */
int tc_crypto_failed(tc_error *err, const char *what);

/* Bytes fit for keys, states and verifiers. */
int tc_random(char *to, size_t len, tc_error *err);

int tc_sha256(tc_str bytes, char digest[TC_SHA256_SIZE], tc_error *err);

#define TC_DIGEST_MAX 64 /* bytes */

/* By OpenSSL's names: "sha1", "sha256", "md5". Returns how many bytes `digest` has got;
   TC_ERR_INVALID where there is no digest of that name. */
int tc_digest(const char *name, tc_str bytes, char digest[TC_DIGEST_MAX], tc_error *err);

/* A key of HMAC (RFC 2104), made once: that takes longer than a use of it. */
typedef struct tc_hmac {
  struct evp_mac_ctx_st *context; /* NULL: closed */
} tc_hmac;

/* As tc_digest. What fails leaves something to be closed. */
int tc_hmac_open(tc_hmac *self, const char *name, tc_str key, tc_error *err);
int tc_hmac_of(tc_hmac *self, tc_str bytes, char digest[TC_DIGEST_MAX], tc_error *err);
void tc_hmac_close(tc_hmac *self);

/* Appends the plaintext sealed: a random nonce of 96 bits, then AES-256-GCM's ciphertext and tag
   (RFC 5116 §5.2). The key comes from `secret`, which needs at least TC_SEAL_SECRET_MIN bytes, by
   HKDF-SHA-256 (RFC 5869). `aad` is not part of the result, but must be the same when opened. */
int tc_seal(tc_buf *out, tc_str secret, tc_str aad, tc_str plaintext, tc_error *err);

/* Appends what was sealed. TC_SEAL_FORGED if this secret and aad did not seal it: nothing has been
   appended then. */
int tc_unseal(tc_buf *out, tc_str secret, tc_str aad, tc_str sealed, tc_error *err);
