/* Signatures of JSON Web Signatures (RFC 7515), over OpenSSL's libcrypto. */
#pragma once

#include "core/error.h"

#define TC_JWS_FORGED 1

/* Checks that the holder of a key has signed `input`. `alg` is "RS256", "PS256" or "ES256" (RFC
   7518 §3.1); the key's numbers are those of a JWK (§6), decoded: n and e of an RSA key, x and y of
   a point on P-256. Returns 0 or TC_JWS_FORGED; or TC_ERR_PROTOCOL where the key must not be used,
   and TC_ERR_INVALID for any other `alg`. */
int tc_jws_verify(tc_str alg, tc_str n_or_x, tc_str e_or_y, tc_str input, tc_str signature,
                  tc_error *err);
