#include "backend/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "backend/clock.h"
#include "backend/http_error.h"
#include "backend/http_headers.h"
#include "backend/http_sockets.h"
#include "backend/process.h"
#include "backend/sigpipe.h"
#include "core/secret.h"
#include "core/url.h"

#if LIBCURL_VERSION_NUM < 0x075000
#error "libcurl 7.80 or later is needed"
#endif

#define MOST_CONNECTIONS 4
#define ORIGIN_SIZE 300        /* scheme, the longest host name, port */
#define MOST_HEADERS_HAVE 1000 /* bytes, together */

struct tc_http {
  CURL *curl;
  CURLM *multi; /* has the connections */
  pid_t pid;    /* whose they are */
  tc_http_sockets sockets;
  bool has_proxy;  /* one was given, or none at all: the environment's are not asked */
  bool uses_proxy; /* one was given */
  tc_buf url;      /* the one that libcurl has been given; empty: none */

  /* the request under way */
  tc_http_answer *answer;     /* NULL: there is none */
  struct curl_slist *headers; /* its own */
  tc_buf body;
  tc_buf certificate;
  tc_buf key;
  bool too_large;
  char reason[CURL_ERROR_SIZE];
};

/* Called when a connection is ready for the request. A second time means that a kept connection
   broke and libcurl is about to send the request again; the first may have been processed, and
   that spends a one-time code or refresh token. */
static int on_ready_to_send(void *data, char *ip, char *local_ip, int port, int local_port) {
  tc_http *http = data;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  if (http->answer->sent) return CURL_PREREQFUNC_ABORT;
  http->answer->sent = true;
  return CURL_PREREQFUNC_OK;
}

/* Returning less than `len` makes libcurl give up with CURLE_WRITE_ERROR. */
static size_t keep(tc_http *http, tc_buf *buf, size_t limit, const char *data, size_t len) {
  if (len > limit - buf->len) {
    http->too_large = true;
    return 0;
  }
  tc_buf_add(buf, data, len);
  return buf->failed ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t count, void *to) {
  tc_http *http = to;
  return keep(http, &http->answer->body, TC_HTTP_BODY_LIMIT, data, size * count);
}

/* Reports whether a header names an encoding of the body that libcurl does not know, such as
   "utf-8". It would refuse the body, in which there may be a new refresh token. From 8.5 on it does
   so all the same: it has decided when it calls on_header. */
static bool names_unknown_encoding(tc_str header) {
  static const char *const known[] = {"identity", "none", "gzip", "x-gzip",
                                      "deflate",  "br",   "zstd"};
  tc_str name = TC_STR("content-encoding:"), value = header;
  if (header.len < name.len || strncasecmp(header.data, name.data, name.len) != 0) return false;
  value.data += name.len;
  value.len -= name.len;
  value = tc_str_trim(value, TC_STR(" \t\r\n"));
  if (memchr(value.data, ',', value.len) != NULL) return false; /* a list is libcurl's business */
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strlen(known[i]) == value.len && strncasecmp(known[i], value.data, value.len) == 0) {
      return false;
    }
  }
  return value.len > 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *to) {
  tc_http *http = to;
  tc_buf *headers = &http->answer->headers;
  size_t len = size * count;
  if (names_unknown_encoding((tc_str){data, len})) {
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  }
  /* a status line: what came before belonged to an interim answer (RFC 9110 §15.2) */
  if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
    tc_buf_clear(headers);
    return len;
  }
  return keep(http, headers, TC_HTTP_HEADERS_LIMIT, data, len);
}

/* The handles of several Lua states may be opened at once, and older libcurls mind. Never undone:
   the rest of the program may use libcurl too. */
static bool init_libcurl(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  pthread_mutex_unlock(&mutex);
  return code == CURLE_OK;
}

static long milliseconds(double seconds) {
  if (seconds >= 86400) return 86400 * 1000L;
  long whole = (long)(seconds * 1000);
  return whole > 0 ? whole : 1; /* 0 would mean "for ever" */
}

static CURLcode set_callbacks(tc_http *http) {
  CURL *curl = http->curl;
  CURLcode code = CURLE_OK;
#define SET(option, value)                                                                         \
  if (code == CURLE_OK) code = curl_easy_setopt(curl, option, value)
  SET(CURLOPT_OPENSOCKETFUNCTION, tc_http_open_socket);
  SET(CURLOPT_OPENSOCKETDATA, &http->sockets);
  SET(CURLOPT_CLOSESOCKETFUNCTION, tc_http_close_socket);
  SET(CURLOPT_CLOSESOCKETDATA, &http->sockets);
  SET(CURLOPT_PREREQFUNCTION, on_ready_to_send);
  SET(CURLOPT_PREREQDATA, http);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, http);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, http);
  SET(CURLOPT_ERRORBUFFER, http->reason);
  return code;
}

static CURLcode set_options(CURL *curl, const tc_http_options *options) {
  CURLcode code = CURLE_OK;
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* out of memory, libcurl 7.88 frees a session twice */
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_USERAGENT, "tokencache");
  SET(CURLOPT_ACCEPT_ENCODING, ""); /* decodes all that it knows: some send it unasked */
  SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options->connect_timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
  SET(CURLOPT_QUICK_EXIT,
      1L); /* a name server that does not answer must not hold the deadline up */
#endif
  if (options->proxy != NULL) SET(CURLOPT_PROXY, options->proxy);
  if (options->ca_file != NULL) {
    SET(CURLOPT_CAINFO, options->ca_file);
    SET(CURLOPT_PROXY_CAINFO, options->ca_file);
  }
  return code;
}

static bool make_multi(tc_http *http) {
  http->multi = curl_multi_init();
  return http->multi != NULL &&
         curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)MOST_CONNECTIONS) == CURLM_OK;
}

int tc_http_open(tc_http **to, const tc_http_options *options, tc_error *err) {
  tc_http *http = calloc(1, sizeof *http);
  *to = NULL;
  if (http == NULL || !init_libcurl()) {
    free(http);
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  http->pid = tc_process_id();
  http->has_proxy = options->proxy != NULL;
  http->uses_proxy = http->has_proxy && options->proxy[0] != '\0';
  http->curl = curl_easy_init();
  tc_http_forget_sockets(&http->sockets);
  if (http->curl == NULL || !make_multi(http) || set_callbacks(http) != CURLE_OK ||
      set_options(http->curl, options) != CURLE_OK) {
    tc_http_close(http);
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  *to = http;
  return 0;
}

/* In a forked child: closes its copies of the parent's sockets and leaves the libcurl handles where
   they are, for cleaning those up would say goodbye on TLS connections which the parent still uses.
 */
static void abandon(tc_http *http) {
  tc_http_abandon_sockets(&http->sockets);
  http->curl = NULL;
  http->multi = NULL;
}

static bool own(tc_http *http) {
  if (http->pid == tc_process_id()) return http->multi != NULL || make_multi(http);
  CURL *fresh = curl_easy_duphandle(http->curl); /* the options without the connections */
  if (fresh == NULL) return false;
  abandon(http);
  http->curl = fresh;
  http->pid = tc_process_id();
  return set_callbacks(http) == CURLE_OK && make_multi(http);
}

static int check_url(const char *url, tc_error *err) {
  tc_url parts;
  tc_error refused = TC_ERROR_NONE;
  if (tc_url_parse(tc_str_of(url), &parts, &refused) == 0) return 0;
  return tc_error_set(err, refused.number, "url: %s", refused.message);
}

/* All that a message may tell of the request's URL. */
static const char *name_origin(const tc_http *http, char origin[ORIGIN_SIZE]) {
  tc_url url;
  tc_error unused;
  (void)tc_url_parse(tc_buf_str(&http->url), &url, &unused); /* it did so before */
  bool ipv6 = memchr(url.host.data, ':', url.host.len) != NULL;
  (void)snprintf(origin, ORIGIN_SIZE, "%.*s://%s%.*s%s%s%.*s", (int)url.scheme.len, url.scheme.data,
                 ipv6 ? "[" : "", (int)url.host.len, url.host.data, ipv6 ? "]" : "",
                 url.port.len > 0 ? ":" : "", (int)url.port.len,
                 url.port.len > 0 ? url.port.data : "");
  return origin;
}

/* A secret that travels without TLS must not leave the machine for a proxy nobody asked for. */
static CURLcode choose_proxy(tc_http *http, const char *url) {
  if (http->has_proxy) return CURLE_OK;
  return curl_easy_setopt(http->curl, CURLOPT_PROXY,
                          strncasecmp(url, "https:", 6) == 0 ? NULL : "");
}

static int set_url(tc_http *http, const char *url, tc_error *err) {
  if (http->url.len > 0 && tc_str_equal(tc_buf_str(&http->url), tc_str_of(url))) return 0;
  int status = check_url(url, err);
  if (status != 0) return status;
  tc_buf_clear(&http->url);
  tc_buf_add_text(&http->url, url);
  if (!http->url.failed && choose_proxy(http, url) == CURLE_OK &&
      curl_easy_setopt(http->curl, CURLOPT_URL, url) == CURLE_OK) {
    return 0;
  }
  tc_buf_clear(&http->url);
  return tc_error_set(err, TC_ERR_NOMEM, NULL);
}

/* libcurl reads both where they are, and compares the certificate with that of a kept connection.
 */
static CURLcode set_certificate(tc_http *http, const char *passphrase) {
  CURL *curl = http->curl;
  CURLcode code = CURLE_OK;
  struct curl_blob certificate = {http->certificate.data, http->certificate.len, CURL_BLOB_NOCOPY};
  struct curl_blob key = {http->key.data, http->key.len, CURL_BLOB_NOCOPY};
  SET(CURLOPT_SSLCERT_BLOB, certificate.len > 0 ? &certificate : NULL);
  SET(CURLOPT_SSLKEY_BLOB, key.len > 0 ? &key : NULL);
  SET(CURLOPT_KEYPASSWD, passphrase);
  return code;
}

static CURLcode set_request(tc_http *http, const tc_http_request *request) {
  CURL *curl = http->curl;
  CURLcode code = CURLE_OK;
  SET(CURLOPT_HTTPHEADER, http->headers);
  SET(CURLOPT_HTTP_CONTENT_DECODING, 1L);
  SET(CURLOPT_TIMEOUT_MS, milliseconds(request->timeout));
  SET(CURLOPT_FRESH_CONNECT, tc_http_is_one_closed(&http->sockets) ? 1L : 0L);
  if (request->method == TC_HTTP_POST) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, tc_buf_str(&http->body).data);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body.len);
  } else {
    SET(CURLOPT_HTTPGET, 1L);
  }
  return code;
}

static void forget_request(tc_http *http) {
  if (http->curl != NULL) {
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, NULL);
  }
  tc_buf_free(&http->certificate);
  tc_buf_free(&http->key);
  if (http->curl != NULL) (void)set_certificate(http, NULL);
  tc_http_headers_free(http->headers);
  http->headers = NULL;
  tc_buf_clear(&http->body);
  http->answer = NULL;
}

/* Ends a request that may be under way, by closing its connection. */
static void give_up(tc_http *http) {
  tc_sigpipe sigpipe;
  if (http->answer == NULL) return;
  if (http->multi != NULL && http->pid == tc_process_id()) {
    tc_sigpipe_block(&sigpipe);
    curl_multi_remove_handle(http->multi, http->curl);
    tc_sigpipe_restore(&sigpipe);
  }
  forget_request(http);
}

static int begin(tc_http *http, const tc_http_request *request, tc_error *err) {
  char origin[ORIGIN_SIZE];
  int status = tc_http_headers_make(&http->headers, request->headers, request->header_count, err);
  if (status != 0) return status;
  tc_buf_add_str(&http->body, request->body);
  tc_buf_add_str(&http->certificate, request->certificate);
  tc_buf_add_str(&http->key, request->key);
  if (http->body.failed || http->certificate.failed || http->key.failed ||
      tc_buf_reserve(&http->answer->headers, MOST_HEADERS_HAVE) == NULL) {
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  if (!(request->timeout > 0)) {
    return tc_error_set(err, TC_ERR_TIMEOUT,
                        "%s: no time was left to send the request; raise the timeout",
                        name_origin(http, origin));
  }
  bool shows = request->certificate.len > 0 && own(http);
  CURLcode shown = shows ? set_certificate(http, request->passphrase) : CURLE_OK;
  if (shown == CURLE_NOT_BUILT_IN) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "this libcurl cannot show certificates from memory; "
                        "it takes one that is built with OpenSSL");
  }
  if (!own(http) || shown != CURLE_OK || set_request(http, request) != CURLE_OK ||
      curl_multi_add_handle(http->multi, http->curl) != CURLM_OK) {
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  return 0;
}

int tc_http_start(tc_http *http, const tc_http_request *request, tc_http_answer *answer,
                  tc_error *err) {
  give_up(http);
  tc_http_answer_free(answer);
  int status = set_url(http, request->url, err);
  if (status != 0) return status;
  http->answer = answer;
  http->too_large = false;
  http->reason[0] = '\0';
  status = begin(http, request, err);
  if (status != 0) forget_request(http);
  return status;
}

/* Reports whether the connection that failed was one to a proxy. libcurl says of the environment's
   that it went "via" or "over" it, or, before 8.0, names its port. */
static bool was_to_proxy(const tc_http *http) {
  tc_url url;
  tc_error unused;
  char port[32];
  if (http->has_proxy) return http->uses_proxy;
  (void)tc_url_parse(tc_buf_str(&http->url), &url, &unused); /* it did so before */
  (void)snprintf(port, sizeof port, " port %.*s ", url.port.len > 0 ? (int)url.port.len : 3,
                 url.port.len > 0 ? url.port.data : "443");
  return strstr(http->reason, " via ") != NULL || strstr(http->reason, " over proxy ") != NULL ||
         (strstr(http->reason, " port ") != NULL && strstr(http->reason, port) == NULL);
}

static int explain(tc_http *http, CURLcode code, tc_error *err) {
  const tc_http_answer *answer = http->answer;
  char origin[ORIGIN_SIZE];
  long proxy_status = 0;
  if (answer->body.failed || answer->headers.failed) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (http->too_large) {
    return tc_error_set(err, TC_ERR_PROTOCOL,
                        "%s: the answer is larger than %zu bytes, or its headers than %zu; "
                        "check the URL",
                        name_origin(http, origin), TC_HTTP_BODY_LIMIT, TC_HTTP_HEADERS_LIMIT);
  }
  if (answer->status == 407) {
    proxy_status = 407; /* only a proxy answers so (RFC 9110 §15.5.8) */
  } else if (!answer->sent) {
    (void)curl_easy_getinfo(http->curl, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  }
  return tc_http_error(err, code, name_origin(http, origin), http->reason, proxy_status,
                       answer->sent, !answer->sent && was_to_proxy(http));
}

/* False: the time is over, but not the request. */
static bool drive(tc_http *http, double seconds, CURLcode *result) {
  double end = tc_monotonic() + seconds;
  int running, left_in_queue;
  while (curl_multi_perform(http->multi, &running) == CURLM_OK && running > 0) {
    double left = end - tc_monotonic();
    if (!(left > 0)) return false;
    if (curl_multi_poll(http->multi, NULL, 0, (int)milliseconds(left), NULL) != CURLM_OK) break;
  }
  CURLMsg *message = curl_multi_info_read(http->multi, &left_in_queue);
  *result = message != NULL ? message->data.result : CURLE_OUT_OF_MEMORY;
  curl_multi_remove_handle(http->multi, http->curl);
  return true;
}

static int conclude(tc_http *http, CURLcode code, tc_error *err) {
  long status = 0;
  (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
  http->answer->status = (int)status;
  return code != CURLE_OK || status == 407 ? explain(http, code, err) : 0;
}

int tc_http_continue(tc_http *http, double seconds, tc_error *err) {
  char origin[ORIGIN_SIZE];
  tc_sigpipe sigpipe;
  CURLcode code = CURLE_OK;
  int status;
  if (http->answer == NULL) return tc_error_set(err, TC_ERR_INVALID, "no request was started");
  if (http->pid != tc_process_id()) {
    status = tc_error_set(err, TC_ERR_NETWORK,
                          "%s: the process forked while the request was under way, and its parent "
                          "has the connection; try again later",
                          name_origin(http, origin));
  } else {
    tc_sigpipe_block(&sigpipe);
    bool over = drive(http, seconds, &code);
    tc_sigpipe_restore(&sigpipe);
    if (!over) return TC_HTTP_PENDING;
    status = conclude(http, code, err);
  }
  forget_request(http);
  return status;
}

bool tc_http_next_header(tc_str headers, size_t *at, tc_http_header *header) {
  while (*at < headers.len) {
    const char *line = headers.data + *at;
    const char *end = memchr(line, '\n', headers.len - *at);
    size_t len = end != NULL ? (size_t)(end - line) : headers.len - *at;
    const char *colon = memchr(line, ':', len);
    *at += len + (end != NULL ? 1 : 0);
    if (colon == NULL || colon == line || line[0] == ' ' || line[0] == '\t') continue;
    header->name = (tc_str){line, (size_t)(colon - line)};
    header->value = tc_str_trim((tc_str){colon + 1, len - header->name.len - 1}, TC_STR(" \t\r"));
    return true;
  }
  return false;
}

void tc_http_answer_free(tc_http_answer *answer) {
  tc_buf_free(&answer->headers);
  tc_buf_free(&answer->body);
  *answer = TC_HTTP_ANSWER_NONE;
}

void tc_http_close(tc_http *http) {
  tc_sigpipe sigpipe;
  if (http == NULL) return;
  if (http->pid != tc_process_id()) abandon(http);
  give_up(http);
  tc_buf_free(&http->url);
  tc_buf_free(&http->body);
  tc_sigpipe_block(&sigpipe);
  curl_easy_cleanup(http->curl);
  curl_multi_cleanup(http->multi);
  tc_sigpipe_restore(&sigpipe);
  free(http);
}
