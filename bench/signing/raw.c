/* A bare ES256 signature by libcrypto: the digest of a JWT's length, and the signature in DER. */
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "../contestant.h"

static EVP_PKEY *key;

static void work(long times) {
  static const unsigned char input[400];
  unsigned char digest[32], signature[128];
  for (long i = 0; i < times; i++) {
    size_t len = sizeof signature;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    contestant_check(EVP_Digest(input, sizeof input, digest, NULL, EVP_sha256(), NULL) == 1 &&
                         EVP_PKEY_sign_init(context) == 1 &&
                         EVP_PKEY_sign(context, signature, &len, digest, sizeof digest) == 1,
                     "EVP_PKEY_sign");
    EVP_PKEY_CTX_free(context);
  }
}

int main(void) {
  key = EVP_EC_gen("P-256");
  contestant_check(key != NULL, "EVP_EC_gen");
  contestant_run(work);
  EVP_PKEY_free(key);
  return 0;
}
