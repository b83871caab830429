#define _GNU_SOURCE /* memmem; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/private_key.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "backend/crypto.h"
#include "backend/jws.h"
#include "core/base64.h"

#define NUMBER_MAX 1024 /* bytes: what takes long to check is no key */

static int refuse(tc_error *err, const char *why) {
  return tc_error_set(err, TC_ERR_CONFIG, "%s", why);
}

static bool has(tc_str text, const char *wanted) {
  return text.len > 0 && memmem(text.data, text.len, wanted, strlen(wanted)) != NULL;
}

/* Without memory libcrypto fails as it does over a damaged key, but for what it notes last. */
static int refuse_unread(tc_error *err, const char *why) {
  return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE
             ? tc_error_set(err, TC_ERR_NOMEM, NULL)
             : refuse(err, why);
}

static const char *problem_of_type(const EVP_PKEY *key) {
  char curve[32] = "";
  switch (EVP_PKEY_get_base_id(key)) {
  case EVP_PKEY_RSA:
    return EVP_PKEY_get_bits(key) < TC_JWS_LEAST_BITS || EVP_PKEY_get_bits(key) > NUMBER_MAX * 8
               ? "is an RSA key of a size that must not be used; it must have 2048 to 8192 bits"
               : NULL;
  case EVP_PKEY_EC:
    return EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
                   strcmp(curve, SN_X9_62_prime256v1) == 0
               ? NULL
               : "is an EC key on another curve than P-256, which ES256 needs";
  default:
    return "is neither an RSA nor an EC key";
  }
}

/* A JWS has r and s as they are where libcrypto makes DER of them (RFC 7518 §3.4). */
static bool to_raw(unsigned char *signature, size_t *len) {
  const unsigned char *der = signature;
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)*len);
  bool done =
      pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, TC_JWS_COORDINATE) > 0 &&
      BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + TC_JWS_COORDINATE, TC_JWS_COORDINATE) > 0;
  ECDSA_SIG_free(pair);
  *len = (size_t)2 * TC_JWS_COORDINATE;
  return done;
}

/* What ECDSA signs need not say by which function it was made, so that the context is what the last
   signature left. */
static bool begin(tc_private_key *key, tc_str alg) {
  if (tc_str_equal(alg, TC_STR("ES256"))) {
    return EVP_PKEY_CTX_get_operation(key) == EVP_PKEY_OP_SIGN || EVP_PKEY_sign_init(key) == 1;
  }
  return EVP_PKEY_sign_init(key) == 1 && tc_jws_pad(key, alg) &&
         EVP_PKEY_CTX_set_signature_md(key, EVP_sha256()) == 1;
}

/* `len` is the room for the signature, then its length. The key must be for `alg`. */
static int sign(tc_private_key *key, tc_str alg, tc_str input, unsigned char *signature,
                size_t *len, tc_error *err) {
  char digest[TC_SHA256_SIZE];
  ERR_set_mark();
  bool done =
      tc_sha256(input, digest, err) == 0 && begin(key, alg) &&
      EVP_PKEY_sign(key, signature, len, (const unsigned char *)digest, sizeof digest) == 1 &&
      (!tc_str_equal(alg, TC_STR("ES256")) || to_raw(signature, len));
  ERR_pop_to_mark();
  return done ? 0 : tc_crypto_failed(err, "a signature");
}

/* What is signed with a key whose parts do not belong together proves nothing, and may give it
   away. */
static int try_key(tc_private_key *key, tc_error *err) {
  unsigned char signature[NUMBER_MAX];
  size_t len = sizeof signature;
  tc_str alg = tc_str_of(tc_private_key_alg(key));
  int status = sign(key, alg, alg, signature, &len, err);
  if (status == 0) {
    status = tc_jws_verify_by(EVP_PKEY_CTX_get0_pkey(key), alg, alg,
                              (tc_str){(const char *)signature, len}, err);
  }
  if (status == TC_JWS_FORGED) return refuse(err, "has parts that do not belong together");
  return status;
}

/* The context of its signatures is what a key is kept as. NULL for NULL. */
static tc_private_key *with_context(EVP_PKEY *key) {
  tc_private_key *made = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
  EVP_PKEY_free(key);
  return made;
}

/* Takes what libcrypto has made, or NULL where it could not. */
static int take(tc_private_key **to, EVP_PKEY *key, const char *why_none, tc_error *err) {
  const char *problem = key != NULL ? problem_of_type(key) : NULL;
  tc_private_key *made = with_context(key);
  int status = problem != NULL ? refuse(err, problem)
               : made == NULL  ? refuse_unread(err, why_none)
                               : try_key(made, err);
  if (status != 0) {
    tc_private_key_free(made);
    made = NULL;
  }
  *to = made;
  return status;
}

static int give_passphrase(char *to, int size, int writing, void *data) {
  const tc_str *passphrase = data;
  (void)writing;
  if (passphrase->len > (size_t)size) return -1;
  if (passphrase->len > 0) memcpy(to, passphrase->data, passphrase->len);
  return (int)passphrase->len;
}

static const char *problem_of_pem(tc_str pem, bool has_passphrase) {
  if (has(pem, "-----BEGIN OPENSSH PRIVATE KEY")) {
    return "is in OpenSSH's own form; ssh-keygen -p -m PKCS8 turns it into PEM";
  }
  if (!has(pem, "PRIVATE KEY-----")) {
    return has(pem, "-----BEGIN CERTIFICATE")  ? "holds a certificate and no private key"
           : has(pem, "-----BEGIN PUBLIC KEY") ? "holds a public key and no private one"
                                               : "holds no private key in PEM, nor a JWK";
  }
  if (!has_passphrase && has(pem, "ENCRYPTED")) return "is encrypted, and no passphrase is given";
  return NULL;
}

int tc_private_key_read_pem(tc_private_key **key, tc_str pem, tc_str passphrase, tc_error *err) {
  const char *problem = problem_of_pem(pem, passphrase.len > 0);
  *key = NULL;
  if (pem.len > INT_MAX) problem = "is too long";
  if (problem != NULL) return refuse(err, problem);
  ERR_set_mark();
  BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
  EVP_PKEY *made =
      bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase) : NULL;
  BIO_free(bio);
  int status = take(key, made,
                    has(pem, "ENCRYPTED") ? "cannot be decrypted: the passphrase is not its, or it "
                                            "is damaged"
                                          : "is damaged: its PEM cannot be read",
                    err);
  ERR_pop_to_mark();
  return status;
}

static EVP_PKEY *new_pair(const char *type, OSSL_PARAM *params) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1) {
    EVP_PKEY_free(key);
    key = NULL;
  }
  EVP_PKEY_CTX_free(context);
  return key;
}

int tc_private_key_read_rsa(tc_private_key **key, const tc_str numbers[TC_RSA_NUMBERS],
                            tc_error *err) {
  static const char *const names[TC_RSA_NUMBERS] = {
      OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
      OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
      OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
      OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
  };
  BIGNUM *values[TC_RSA_NUMBERS] = {NULL};
  OSSL_PARAM *params = NULL;
  *key = NULL;
  ERR_set_mark();
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  bool done = builder != NULL;
  for (size_t i = 0; i < TC_RSA_NUMBERS && done; i++) {
    if (numbers[i].len == 0 || numbers[i].len > NUMBER_MAX) continue;
    values[i] = BN_secure_new();
    done = values[i] != NULL &&
           BN_bin2bn((const unsigned char *)numbers[i].data, (int)numbers[i].len, values[i]) &&
           OSSL_PARAM_BLD_push_BN(builder, names[i], values[i]) == 1;
  }
  if (done) params = OSSL_PARAM_BLD_to_param(builder);
  int status = take(key, params != NULL ? new_pair("RSA", params) : NULL,
                    "is a JWK whose numbers make no RSA key", err);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  for (size_t i = 0; i < TC_RSA_NUMBERS; i++) BN_clear_free(values[i]);
  ERR_pop_to_mark();
  return status;
}

int tc_private_key_read_ec(tc_private_key **key, tc_str x, tc_str y, tc_str d, tc_error *err) {
  static const char WHY[] = "is a JWK whose numbers make no key on P-256";
  char curve[] = "P-256";
  unsigned char point[1 + 2 * TC_JWS_COORDINATE] = {POINT_CONVERSION_UNCOMPRESSED};
  *key = NULL;
  if (x.len != TC_JWS_COORDINATE || y.len != TC_JWS_COORDINATE || d.len != TC_JWS_COORDINATE) {
    return refuse(err, WHY);
  }
  memcpy(point + 1, x.data, TC_JWS_COORDINATE);
  memcpy(point + 1 + TC_JWS_COORDINATE, y.data, TC_JWS_COORDINATE);
  ERR_set_mark();
  OSSL_PARAM *params = NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  BIGNUM *secret = BN_secure_new();
  if (builder != NULL && secret != NULL &&
      BN_bin2bn((const unsigned char *)d.data, (int)d.len, secret) != NULL &&
      OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1 &&
      OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) ==
          1 &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1) {
    params = OSSL_PARAM_BLD_to_param(builder);
  }
  int status = take(key, params != NULL ? new_pair("EC", params) : NULL, WHY, err);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_clear_free(secret);
  ERR_pop_to_mark();
  return status;
}

int tc_private_key_new(tc_private_key **key, tc_error *err) {
  ERR_set_mark();
  *key = with_context(EVP_EC_gen("P-256"));
  ERR_pop_to_mark();
  return *key != NULL ? 0 : tc_crypto_failed(err, "the making of a key");
}

int tc_private_key_ec_numbers(tc_private_key *key, char numbers[TC_EC_NUMBERS][TC_JWS_COORDINATE],
                              tc_error *err) {
  static const char *const names[TC_EC_NUMBERS] = {
      OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y, OSSL_PKEY_PARAM_PRIV_KEY};
  bool done = true;
  ERR_set_mark();
  for (size_t i = 0; i < TC_EC_NUMBERS && done; i++) {
    BIGNUM *number = NULL;
    done = EVP_PKEY_get_bn_param(EVP_PKEY_CTX_get0_pkey(key), names[i], &number) == 1 &&
           BN_bn2binpad(number, (unsigned char *)numbers[i], TC_JWS_COORDINATE) > 0;
    BN_clear_free(number);
  }
  ERR_pop_to_mark();
  return done ? 0 : tc_crypto_failed(err, "the reading of a key");
}

static bool is_ec(tc_private_key *key) {
  return EVP_PKEY_get_base_id(EVP_PKEY_CTX_get0_pkey(key)) == EVP_PKEY_EC;
}

const char *tc_private_key_alg(tc_private_key *key) {
  return is_ec(key) ? "ES256" : "RS256";
}

int tc_private_key_sign(tc_private_key *key, tc_str alg, tc_str header, tc_str claims, tc_buf *out,
                        tc_error *err) {
  unsigned char signature[NUMBER_MAX];
  size_t len = sizeof signature;
  bool ec = is_ec(key);
  bool fits = ec ? tc_str_equal(alg, TC_STR("ES256"))
                 : tc_str_equal(alg, TC_STR("RS256")) || tc_str_equal(alg, TC_STR("PS256"));
  if (!fits) {
    return tc_error_set(err, TC_ERR_CONFIG, "signs with %s only", ec ? "ES256" : "RS256 and PS256");
  }
  tc_base64url_encode(out, header);
  tc_buf_add_char(out, '.');
  tc_base64url_encode(out, claims);
  int status = out->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL)
                           : sign(key, alg, tc_buf_str(out), signature, &len, err);
  if (status != 0) return status;
  tc_buf_add_char(out, '.');
  tc_base64url_encode(out, (tc_str){(const char *)signature, len});
  return out->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
}

void tc_private_key_free(tc_private_key *key) {
  EVP_PKEY_CTX_free(key);
}
