#include "backend/memcached_server.h"

#include <stdio.h>

#define DEFAULT_PORT 11211

static int refuse(const char *text, tc_error *err) {
  char shown[200];
  tc_error_copy_foreign(shown, sizeof shown, tc_str_of(text));
  return tc_error_set(err, TC_ERR_INVALID,
                      "servers: \"%s\" is none; write host:port, [IPv6 address]:port or the path "
                      "of a socket",
                      shown);
}

/* All of `text` must be a port. */
static bool parse_port(const char *text, in_port_t *port) {
  unsigned long number = 0;
  size_t len = strspn(text, "0123456789");
  if (len == 0 || len > 5 || text[len] != '\0') return false;
  for (size_t i = 0; i < len; i++) number = number * 10 + (unsigned long)(text[i] - '0');
  if (number == 0 || number > 65535) return false;
  *port = (in_port_t)number;
  return true;
}

int tc_memcached_server_parse(const char *text, tc_memcached_server *server, tc_error *err) {
  tc_str host = tc_str_of(text);
  const char *colon = strchr(text, ':');
  server->port = DEFAULT_PORT;
  if (text[0] == '/') {
    server->port = 0;
  } else if (text[0] == '[') {
    const char *end = strchr(text, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':')) return refuse(text, err);
    if (end[1] == ':' && !parse_port(end + 2, &server->port)) return refuse(text, err);
    host = (tc_str){text + 1, (size_t)(end - text) - 1};
  } else if (colon != NULL &&
             strchr(colon + 1, ':') == NULL) { /* with more it is an IPv6 address */
    if (!parse_port(colon + 1, &server->port)) return refuse(text, err);
    host.len = (size_t)(colon - text);
  }
  if (tc_str_is_empty(host) || host.len >= sizeof server->host) return refuse(text, err);
  memcpy(server->host, host.data, host.len);
  server->host[host.len] = '\0';
  return 0;
}

void tc_memcached_server_show(char *to, size_t size, const char *host, in_port_t port) {
  if (host[0] == '/') {
    (void)snprintf(to, size, "%s: memcached", host);
  } else {
    bool ipv6 = strchr(host, ':') != NULL;
    (void)snprintf(to, size, "%s%s%s:%u: memcached", ipv6 ? "[" : "", host, ipv6 ? "]" : "",
                   (unsigned)port);
  }
}
