#include "backend/jws.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "backend/crypto.h"

#define MOST_MODULUS 1024 /* bytes: what takes long to check is no key */
#define MOST_EXPONENT 8   /* bytes */

static const unsigned char *bytes_of(tc_str text) {
  return (const unsigned char *)(text.data != NULL ? text.data : "");
}

static EVP_PKEY *new_key(const char *type, OSSL_PARAM *params) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
    EVP_PKEY_free(key);
    key = NULL;
  }
  EVP_PKEY_CTX_free(context);
  return key;
}

/* Reports whether an RSA key is strong, and not one that takes long to check. */
static bool is_fit(const BIGNUM *modulus, const BIGNUM *exponent) {
  return BN_num_bits(modulus) >= TC_JWS_LEAST_BITS && BN_is_odd(exponent) && !BN_is_one(exponent);
}

/* Returns NULL where the key is unfit, or where libcrypto failed. */
static EVP_PKEY *new_rsa_key(tc_str n, tc_str e, bool *unfit) {
  *unfit = n.len > MOST_MODULUS || e.len > MOST_EXPONENT;
  if (*unfit) return NULL;
  EVP_PKEY *key = NULL;
  OSSL_PARAM *params = NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  BIGNUM *modulus = BN_bin2bn(bytes_of(n), (int)n.len, NULL);
  BIGNUM *exponent = BN_bin2bn(bytes_of(e), (int)e.len, NULL);
  if (builder != NULL && modulus != NULL && exponent != NULL) {
    *unfit = !is_fit(modulus, exponent);
    if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
      params = OSSL_PARAM_BLD_to_param(builder);
    }
  }
  if (params != NULL && !*unfit) key = new_key("RSA", params);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_free(modulus);
  BN_free(exponent);
  return key;
}

/* Likewise. libcrypto checks that the point is on the curve. */
static EVP_PKEY *new_ec_key(tc_str x, tc_str y, bool *unfit) {
  char curve[] = "P-256";
  unsigned char point[1 + 2 * TC_JWS_COORDINATE] = {POINT_CONVERSION_UNCOMPRESSED};
  *unfit = x.len != TC_JWS_COORDINATE || y.len != TC_JWS_COORDINATE;
  if (*unfit) return NULL;
  memcpy(point + 1, x.data, TC_JWS_COORDINATE);
  memcpy(point + 1 + TC_JWS_COORDINATE, y.data, TC_JWS_COORDINATE);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
      OSSL_PARAM_construct_end(),
  };
  EVP_PKEY *key = new_key("EC", params);
  int reason = ERR_GET_REASON(ERR_peek_last_error());
  *unfit = key == NULL && (reason == EC_R_POINT_IS_NOT_ON_CURVE || reason == EC_R_INVALID_ENCODING);
  return key;
}

/* libcrypto wants DER of r and s where a JWS has them as they are. Returns the length, or 0 without
   memory; `der` is to be freed. */
static size_t to_der(unsigned char **der, tc_str raw) {
  int len = 0;
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(bytes_of(raw), TC_JWS_COORDINATE, NULL);
  BIGNUM *s = BN_bin2bn(bytes_of(raw) + TC_JWS_COORDINATE, TC_JWS_COORDINATE, NULL);
  if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
    r = s = NULL;
    len = i2d_ECDSA_SIG(pair, der);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  return len > 0 ? (size_t)len : 0;
}

bool tc_jws_pad(EVP_PKEY_CTX *context, tc_str alg) {
  return !tc_str_equal(alg, TC_STR("PS256")) ||
         (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

/* 1, 0 where the signature does not fit, negative where libcrypto failed. The digest is made apart:
   libcrypto copies a context that makes it on the way, and without memory calls that a mismatch. */
static int verify(EVP_PKEY *key, tc_str alg, tc_str input, const unsigned char *signature,
                  size_t len) {
  int fits = -1;
  tc_error err = TC_ERROR_NONE;
  char digest[TC_SHA256_SIZE];
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
  if (context != NULL && tc_sha256(input, digest, &err) == 0 &&
      EVP_PKEY_verify_init(context) == 1 && tc_jws_pad(context, alg) &&
      EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1) {
    fits = EVP_PKEY_verify(context, signature, len, (const unsigned char *)digest, TC_SHA256_SIZE);
  }
  EVP_PKEY_CTX_free(context);
  return fits;
}

static int verify_ec(EVP_PKEY *key, tc_str alg, tc_str input, tc_str signature) {
  unsigned char *der = NULL;
  if (signature.len != (size_t)2 * TC_JWS_COORDINATE) return 0;
  size_t len = to_der(&der, signature);
  int fits = len > 0 ? verify(key, alg, input, der, len) : -1;
  OPENSSL_free(der);
  return fits;
}

int tc_jws_verify_by(EVP_PKEY *key, tc_str alg, tc_str input, tc_str signature, tc_error *err) {
  int fits = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC
                 ? verify_ec(key, alg, input, signature)
                 : verify(key, alg, input, bytes_of(signature), signature.len);
  return fits < 0    ? tc_crypto_failed(err, "the check of a signature")
         : fits == 0 ? TC_JWS_FORGED
                     : 0;
}

int tc_jws_verify(tc_str alg, tc_str n_or_x, tc_str e_or_y, tc_str input, tc_str signature,
                  tc_error *err) {
  bool ec = tc_str_equal(alg, TC_STR("ES256"));
  if (!ec && !tc_str_equal(alg, TC_STR("PS256")) && !tc_str_equal(alg, TC_STR("RS256"))) {
    return tc_error_set(err, TC_ERR_INVALID, "alg must be RS256, PS256 or ES256");
  }
  int status = 0;
  bool unfit = false;
  ERR_set_mark();
  EVP_PKEY *key = ec ? new_ec_key(n_or_x, e_or_y, &unfit) : new_rsa_key(n_or_x, e_or_y, &unfit);
  if (unfit) {
    status = tc_error_set(err, TC_ERR_PROTOCOL,
                          ec ? "the key is no point of P-256"
                             : "the RSA key must have %d to %d bits and an odd exponent",
                          TC_JWS_LEAST_BITS, MOST_MODULUS * 8);
  } else if (key == NULL) {
    status = tc_crypto_failed(err, "the check of a signature");
  } else {
    status = tc_jws_verify_by(key, alg, input, signature, err);
  }
  EVP_PKEY_free(key);
  ERR_pop_to_mark();
  return status;
}
