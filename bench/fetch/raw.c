/* raw URL CLIENT_ID CLIENT_SECRET: the same request, byte for byte, over libcurl and nothing more;
   the answer is kept, but not understood. */
#include <curl/curl.h>
#include <string.h>

#include "../contestant.h"

static CURL *curl;
static char body[65536];
static size_t body_len;

static size_t on_body(char *data, size_t size, size_t count, void *to) {
  size_t len = size * count;
  (void)to;
  if (len > sizeof body - body_len) return 0;
  memcpy(body + body_len, data, len);
  body_len += len;
  return len;
}

static void work(long times) {
  for (; times > 0; times--) {
    long status = 0;
    body_len = 0;
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200) continue;
    fprintf(stderr, "raw: %s, status %ld\n", curl_easy_strerror(code), status);
    exit(1);
  }
}

int main(int argc, char **argv) {
  struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
  contestant_check(argc == 4, "usage");
  curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_USERNAME, argv[2]);
  curl_easy_setopt(curl, CURLOPT_PASSWORD, argv[3]);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tokencache");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "grant_type=client_credentials");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  contestant_run(work);
  curl_easy_cleanup(curl);
  curl_slist_free_all(headers);
  return 0;
}
