/* Signatures of JSON Web Signatures (RFC 7515), over OpenSSL's libcrypto. */
#pragma once

#include <openssl/types.h>

#include "core/error.h"

#define TC_JWS_FORGED 1
#define TC_JWS_LEAST_BITS 2048 /* of an RSA key (RFC 7518 §3.3) */
#define TC_JWS_COORDINATE 32   /* bytes of each number of P-256, also in a signature (§3.4) */

/* Checks that the holder of a key has signed `input`. `alg` is "RS256", "PS256" or "ES256" (RFC
   7518 §3.1); the key's numbers are those of a JWK (§6), decoded: n and e of an RSA key, x and y of
   a point on P-256. Returns 0 or TC_JWS_FORGED; or TC_ERR_PROTOCOL where the key must not be used,
   and TC_ERR_INVALID for any other `alg`. */
int tc_jws_verify(tc_str alg, tc_str n_or_x, tc_str e_or_y, tc_str input, tc_str signature,
                  tc_error *err);

/* The same for a key that libcrypto has. */
int tc_jws_verify_by(EVP_PKEY *key, tc_str alg, tc_str input, tc_str signature, tc_error *err);

/* Sets the padding that `alg` wants, before a signature is made or checked. */
bool tc_jws_pad(EVP_PKEY_CTX *context, tc_str alg);
