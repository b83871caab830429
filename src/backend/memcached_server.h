/* The names of memcached servers: "host", "host:port", "[::1]:port", "/path/of/socket". */
#pragma once

#include <netinet/in.h>

#include "core/error.h"

typedef struct tc_memcached_server {
  char host[256]; /* or the path, if port is 0 */
  in_port_t port;
} tc_memcached_server;

int tc_memcached_server_parse(const char *text, tc_memcached_server *server, tc_error *err);

/* The other way round, for messages: "10.0.0.5:11211: memcached". */
void tc_memcached_server_show(char *to, size_t size, const char *host, in_port_t port);
