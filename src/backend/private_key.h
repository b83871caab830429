/* Private keys to sign with, over OpenSSL's libcrypto. libcrypto erases what it frees of them. */
#pragma once

#include "backend/jws.h"
#include "core/buf.h"

typedef struct evp_pkey_ctx_st tc_private_key; /* for one thread at a time */

/* Reads the first private key of a text in PEM: PKCS#8 (RFC 5958), in the clear or encrypted under
   the passphrase, or the older forms for RSA and EC. It must be an RSA key of 2048 bits or more, or
   one on P-256. Errors, here and below, say what is wrong and hold nothing of the key. */
int tc_private_key_read_pem(tc_private_key **key, tc_str pem, tc_str passphrase, tc_error *err);

/* The numbers of a JWK (RFC 7518 §6.3.2): n, e, d, and p, q, dp, dq, qi, which may all be absent.
 */
#define TC_RSA_NUMBERS 8
int tc_private_key_read_rsa(tc_private_key **key, const tc_str numbers[TC_RSA_NUMBERS],
                            tc_error *err);

/* Likewise for P-256 (§6.2.2). */
int tc_private_key_read_ec(tc_private_key **key, tc_str x, tc_str y, tc_str d, tc_error *err);

/* Makes one on P-256. */
int tc_private_key_new(tc_private_key **key, tc_error *err);

/* The numbers of a key on P-256, as tc_private_key_read_ec takes them: x, y and d. */
#define TC_EC_NUMBERS 3
int tc_private_key_ec_numbers(tc_private_key *key, char numbers[TC_EC_NUMBERS][TC_JWS_COORDINATE],
                              tc_error *err);

/* The `alg` of JSON Web Signatures (RFC 7518 §3.1) that goes with the key unless another is asked
   for: "RS256" or "ES256". */
const char *tc_private_key_alg(tc_private_key *key);

/* Appends what is signed and its signature to an empty buffer: a JWS in the compact form (RFC 7515
   §7.1). `header` and `claims` are JSON, `alg` is "RS256", "PS256" or "ES256"; TC_ERR_CONFIG where
   the key is not for it. */
int tc_private_key_sign(tc_private_key *key, tc_str alg, tc_str header, tc_str claims, tc_buf *out,
                        tc_error *err);

/* NULL is no key. */
void tc_private_key_free(tc_private_key *key);
