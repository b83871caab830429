/* raw DIGEST SEPARATOR FILE: what must be done of each cookie in any language, by the libraries
   alone: an HMAC of it, by a key that is kept, and its payload out of base64url and zlib. No
   signature is compared, and nothing is made of the JSON. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>
#include <zlib.h>

#include "../contestant.h"

#define COOKIES 1000
#define MOST 4096

static char cookies[COOKIES][MOST], separator;
static EVP_MAC_CTX *key;
static int next;

static void open_cookie(const char *cookie) {
  unsigned char digest[EVP_MAX_MD_SIZE], packed[MOST], bytes[MOST];
  char base64[MOST];
  size_t len = 0;
  const char *end = strrchr(cookie, separator), *payload = cookie + 1;
  size_t count = (size_t)(strchr(payload, separator) - payload);
  contestant_check(EVP_MAC_init(key, NULL, 0, NULL) &&
                       EVP_MAC_update(key, (const unsigned char *)cookie, (size_t)(end - cookie)) &&
                       EVP_MAC_final(key, digest, &len, sizeof digest),
                   "raw: HMAC");

  for (size_t i = 0; i < count; i++) {
    base64[i] = payload[i] == '-' ? '+' : payload[i] == '_' ? '/' : payload[i];
  }
  size_t padding = (4 - count % 4) % 4;
  memcpy(base64 + count, "===", padding);
  int packed_len = EVP_DecodeBlock(packed, (unsigned char *)base64, (int)(count + padding));
  uLongf bytes_len = sizeof bytes;
  contestant_check(cookie[0] == '.' && packed_len > 0 &&
                       uncompress(bytes, &bytes_len, packed, (uLong)packed_len - padding) == Z_OK,
                   "raw: a cookie");
}

static void work(long times) {
  for (; times > 0; times--) {
    open_cookie(cookies[next]);
    next = (next + 1) % COOKIES;
  }
}

int main(int argc, char **argv) {
  contestant_check(argc == 4, "usage");
  separator = argv[2][0];
  FILE *file = fopen(argv[3], "r");
  contestant_check(file != NULL, argv[3]);
  for (int i = 0; i < COOKIES; i++) {
    contestant_check(fscanf(file, "%4095s", cookies[i]) == 1, "raw: fewer cookies");
  }
  (void)fclose(file);
  OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, argv[1], 0),
                         OSSL_PARAM_construct_end()};
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  key = EVP_MAC_CTX_new(mac);
  contestant_check(EVP_MAC_init(key, (const unsigned char *)"secret", 6, digest), "raw: a key");
  contestant_run(work);
  EVP_MAC_CTX_free(key);
  EVP_MAC_free(mac);
  return 0;
}
