/* A blocking HTTP/1.1 client for one request at a time, over libcurl. Connections are kept and used
   again. TLS is always verified, no redirect is followed, and nothing is sent twice. After a fork
   the child leaves the parent's connections alone and makes its own. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

#define TC_HTTP_BODY_LIMIT ((size_t)1 << 20)    /* bytes of an answer's body */
#define TC_HTTP_HEADERS_LIMIT ((size_t)1 << 16) /* bytes of all its headers */

typedef struct tc_http tc_http;

typedef struct tc_http_options {
  const char *proxy;      /* NULL: as the environment says, for https; "": none */
  const char *ca_file;    /* PEM; NULL: the system's authorities */
  double connect_timeout; /* seconds, for name, connection and TLS together */
} tc_http_options;

typedef struct tc_http_header {
  tc_str name;
  tc_str value;
} tc_http_header;

typedef enum tc_http_method { TC_HTTP_GET, TC_HTTP_POST } tc_http_method;

typedef struct tc_http_request {
  tc_http_method method;
  const char *url;
  const tc_http_header *headers;
  size_t header_count;
  tc_str body;        /* of a POST */
  tc_str certificate; /* PEM, shown by TLS (RFC 8705), with its key; absent: none is */
  tc_str key;
  const char *passphrase; /* the key's, or NULL */
  double timeout;         /* seconds, for everything */
} tc_http_request;

typedef struct tc_http_answer {
  int status;
  bool sent;      /* also set on failure: false if the server has certainly not seen the request */
  tc_buf headers; /* read with tc_http_next_header */
  tc_buf body;
} tc_http_answer;

#define TC_HTTP_ANSWER_NONE ((tc_http_answer){0, false, TC_BUF_EMPTY, TC_BUF_EMPTY})

/* Makes a client in `*http`. Nothing is connected yet, nor is ca_file read. */
int tc_http_open(tc_http **http, const tc_http_options *options, tc_error *err);

/* Begins a request, of which the client keeps a copy; one that is under way is given up. Replaces
   what `answer` held, and writes there until the request is over. Errors, here and below, name
   scheme, host and port, and nothing else of the request. */
int tc_http_start(tc_http *http, const tc_http_request *request, tc_http_answer *answer,
                  tc_error *err);

/* Goes on with it, for so many seconds at most: TC_HTTP_PENDING, or 0 when the whole answer is
   there, whatever its status. */
int tc_http_continue(tc_http *http, double seconds, tc_error *err);
#define TC_HTTP_PENDING 1

/* Steps through an answer's headers: `*at` starts at 0. A name may come more than once. False
   after the last. */
bool tc_http_next_header(tc_str headers, size_t *at, tc_http_header *header);

/* Erases and frees what the answer holds. */
void tc_http_answer_free(tc_http_answer *answer);

/* Closes the connections and frees the client; NULL is no client. */
void tc_http_close(tc_http *http);
