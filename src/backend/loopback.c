#include "backend/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union address {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
} address;

static bool is_ipv6(const address *at) {
  return at->any.sa_family == AF_INET6;
}

static socklen_t size_of(const address *at) {
  return is_ipv6(at) ? sizeof at->ipv6 : sizeof at->ipv4;
}

static bool make_address(address *at, const char *host, uint16_t port) {
  memset(at, 0, sizeof *at);
  if (strcmp(host, "127.0.0.1") == 0) {
    at->ipv4.sin_family = AF_INET;
    at->ipv4.sin_port = htons(port);
    at->ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return true;
  }
  at->ipv6.sin6_family = AF_INET6;
  at->ipv6.sin6_port = htons(port);
  at->ipv6.sin6_addr = in6addr_loopback;
  return strcmp(host, "::1") == 0;
}

/* 0, or what errno said. */
static int listen_at(int fd, address *at) {
  int yes = 1;
  socklen_t len = size_of(at);
  /* a login soon after another must not fail for the connections that one has closed */
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
      bind(fd, &at->any, len) < 0 || listen(fd, SOMAXCONN) < 0 ||
      getsockname(fd, &at->any, &len) < 0) {
    return errno;
  }
  return 0;
}

static int explain(tc_error *err, const char *host, unsigned port, int code) {
  switch (code) {
  case EINVAL:
    return tc_error_set(err, TC_ERR_INVALID, "%s: host must be 127.0.0.1, ::1 or localhost", host);
  case EADDRINUSE:
    return tc_error_set(err, TC_ERR_INVALID,
                        "port %u of %s is in use; end the program that listens there, or register "
                        "and use a redirect_uri with another port",
                        port, host);
  case EACCES:
    return tc_error_set(err, TC_ERR_INVALID,
                        "port %u of %s needs privileges; use a redirect_uri with a port above 1023",
                        port, host);
  case EADDRNOTAVAIL:
  case EAFNOSUPPORT:
    return tc_error_set(err, TC_ERR_INVALID,
                        "%s: this machine has no such address; use a redirect_uri with %s", host,
                        strcmp(host, "::1") == 0 ? "127.0.0.1" : "[::1]");
  default:
    return tc_error_set(err, TC_ERR_UNAVAILABLE,
                        "port %u of %s: cannot listen: %s; try again later", port, host,
                        strerror(code));
  }
}

/* 0, or what errno said. */
static int listen_on(const char *host, uint16_t *port, int *fd) {
  address at;
  if (!make_address(&at, host, *port)) return EINVAL;
  *fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int code = *fd < 0 ? errno : listen_at(*fd, &at);
  if (code == 0) {
    *port = ntohs(is_ipv6(&at) ? at.ipv6.sin6_port : at.ipv4.sin_port);
  } else if (*fd >= 0) {
    (void)close(*fd);
    *fd = -1;
  }
  return code;
}

static bool is_missing(int code) {
  return code == EADDRNOTAVAIL || code == EAFNOSUPPORT;
}

/* A browser takes "localhost" for either address. On one that we left to others, they would be
   shown the code. */
static int listen_on_both(const char **host, uint16_t *port, int fds[TC_LOOPBACK_MOST]) {
  *host = "127.0.0.1";
  int code = listen_on(*host, port, &fds[0]);
  if (code != 0 && !is_missing(code)) return code;
  int missing = code;
  *host = "::1";
  code = listen_on(*host, port, &fds[1]);
  if (!is_missing(code)) return code;
  *host = "localhost";
  return missing;
}

static void close_all(int fds[TC_LOOPBACK_MOST]) {
  for (size_t i = 0; i < TC_LOOPBACK_MOST; i++) {
    if (fds[i] >= 0) (void)close(fds[i]);
    fds[i] = -1;
  }
}

#define MOST_TRIES 16 /* ports, where any will do */

int tc_loopback_listen(const char *host, uint16_t *port, int fds[TC_LOOPBACK_MOST], tc_error *err) {
  const char *where = host;
  uint16_t taken = 0;
  int code = EADDRINUSE;
  fds[0] = fds[1] = -1;
  for (int tries = 0; code == EADDRINUSE && tries < MOST_TRIES; tries++) {
    close_all(fds);
    taken = *port;
    code = strcmp(host, "localhost") == 0 ? listen_on_both(&where, &taken, fds)
                                          : listen_on(host, &taken, &fds[0]);
    if (*port != 0) break;
  }
  if (code != 0) {
    close_all(fds);
    return explain(err, where, taken, code);
  }
  *port = taken;
  return 0;
}
