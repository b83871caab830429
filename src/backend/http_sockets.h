/* The sockets of an HTTP client: libcurl has them made here, so that a forked child can close its
   copies without libcurl. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/types.h>

#define TC_HTTP_MOST_SOCKETS 16 /* with those that race for one connection (RFC 8305) */

typedef struct tc_http_sockets {
  struct {
    int fd; /* -1: free */
    ino_t inode;
  } slots[TC_HTTP_MOST_SOCKETS];
} tc_http_sockets;

/* Frees every slot and closes nothing; this is how they begin. */
void tc_http_forget_sockets(tc_http_sockets *sockets);

/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; `data` are the tc_http_sockets. */
curl_socket_t tc_http_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address);
int tc_http_close_socket(void *data, curl_socket_t fd);

/* Reports whether the server has closed one of them: newer releases of libcurl look but once a
   second, and send a request where nobody reads it. */
bool tc_http_is_one_closed(const tc_http_sockets *sockets);

/* In a forked child: closes its copies of the parent's sockets. */
void tc_http_abandon_sockets(tc_http_sockets *sockets);
