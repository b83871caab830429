#include "backend/http_error.h"

#define CHECK_PROXY "check the proxy that proxy= or the environment (https_proxy) names"

/* libcurl's own words may quote the request in cases that have no remedy here; then its general
   text for the code is shown instead. */
static const struct {
  CURLcode code;
  int number;
  const char *remedy;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_PROXY, TC_ERR_CONNECT, CHECK_PROXY},
    {CURLE_COULDNT_RESOLVE_HOST, TC_ERR_CONNECT, "check the host's name and the network"},
    {CURLE_COULDNT_CONNECT, TC_ERR_CONNECT, "check that the server runs, and the network"},
    {CURLE_SSL_CONNECT_ERROR, TC_ERR_CONNECT,
     "check the port, and that the server speaks TLS 1.2 or later"},
    {CURLE_PEER_FAILED_VERIFICATION, TC_ERR_TLS,
     "check the URL's host, or give the authority behind the certificate as ca_file="},
    {CURLE_SSL_CACERT_BADFILE, TC_ERR_TLS, "ca_file= must name a readable file of certificates"},
    {CURLE_SSL_ISSUER_ERROR, TC_ERR_TLS, "check ca_file="},
    {CURLE_SSL_CERTPROBLEM, TC_ERR_TLS,
     "check client_certificate, and that client_key is the key of it"},
    {CURLE_OPERATION_TIMEDOUT, TC_ERR_TIMEOUT, "try again later, or raise the timeout"},
    {CURLE_GOT_NOTHING, TC_ERR_NETWORK, "try again later"},
    {CURLE_SEND_ERROR, TC_ERR_NETWORK, "try again later"},
    {CURLE_RECV_ERROR, TC_ERR_NETWORK, "try again later"},
    {CURLE_PARTIAL_FILE, TC_ERR_NETWORK, "try again later"},
    {CURLE_OUT_OF_MEMORY, TC_ERR_NOMEM, NULL},
    {CURLE_URL_MALFORMAT, TC_ERR_INVALID, NULL},
    {CURLE_UNSUPPORTED_PROTOCOL, TC_ERR_PROTOCOL, NULL},
    {CURLE_WEIRD_SERVER_REPLY, TC_ERR_PROTOCOL, NULL},
    {CURLE_BAD_CONTENT_ENCODING, TC_ERR_PROTOCOL,
     "the server, or a proxy before it, must name no Content-Encoding that the body does not have"},
};

/* Reports whether a proxy that fails does so with this code: a certificate, say, is the server's.
 */
static bool may_be_of_proxy(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ||
         code == CURLE_RECV_ERROR;
}

/* A URL that is quoted may hold a proxy's password. */
static bool quotes_url(const char *reason) {
  return strstr(reason, "://") != NULL || strchr(reason, '@') != NULL;
}

int tc_http_error(tc_error *err, CURLcode code, const char *origin, const char *reason,
                  long proxy_status, bool sent, bool to_proxy) {
  char shown[CURL_ERROR_SIZE];
  const char *remedy = "try again later";
  int number = TC_ERR_NETWORK;
  if (proxy_status == 407) {
    return tc_error_set(err, TC_ERR_CONFIG,
                        "%s: the proxy asks for a login; give proxy= with user and password",
                        origin);
  }
  if (strncmp(reason, "Unsupported proxy", 17) == 0) {
    return tc_error_set(err, TC_ERR_CONFIG, "%s: proxy= must be a URL like http://host:port",
                        origin);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) { /* by on_ready_to_send */
    return tc_error_set(err, TC_ERR_NETWORK,
                        "%s: the connection closed before an answer came; try again later", origin);
  }
  tc_error_copy_foreign(shown, sizeof shown, tc_str_of(curl_easy_strerror(code)));
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
    if (failures[i].code != code) continue;
    number = failures[i].number;
    if (failures[i].remedy == NULL) break;
    remedy = failures[i].remedy;
    if (reason[0] != '\0' && !quotes_url(reason))
      tc_error_copy_foreign(shown, sizeof shown, tc_str_of(reason));
  }
  if (to_proxy && may_be_of_proxy(code)) remedy = CHECK_PROXY;
  if (number == TC_ERR_NETWORK && !sent) number = TC_ERR_CONNECT;
  if (number == TC_ERR_PROTOCOL && !sent) number = TC_ERR_INVALID;
  if (number == TC_ERR_PROTOCOL && code != CURLE_BAD_CONTENT_ENCODING) remedy = "check the URL";
  if (number == TC_ERR_INVALID) remedy = "check the URL and proxy=";
  return tc_error_set(err, number, "%s: %s; %s", origin, shown, remedy);
}
