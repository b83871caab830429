#include "backend/dial.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/apart.h"
#include "backend/clock.h"

#define KEEPALIVE_IDLE 60     /* seconds of silence before the first probe */
#define KEEPALIVE_INTERVAL 15 /* seconds between probes */
#define KEEPALIVE_PROBES 3

bool tc_dial_wait(int fd, short events, double deadline) {
  struct pollfd poll_fd = {fd, events, 0};
  for (;;) {
    double left = (deadline - tc_monotonic()) * 1000;
    if (left <= 0) return false;
    int ready = poll(&poll_fd, 1, left < INT_MAX - 1 ? (int)left + 1 : INT_MAX);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
}

static void set_option(int fd, int level, int name, int value) {
  (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_tcp(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
#endif
}

/* 0, or what errno said. */
static int finish(int fd, double deadline) {
  int code = 0;
  socklen_t len = sizeof code;
  if (!tc_dial_wait(fd, POLLOUT, deadline)) return ETIMEDOUT;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 ? errno : code;
}

static int connect_to(int family, const struct sockaddr *at, socklen_t len, double deadline,
                      int *fd) {
  *fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (*fd < 0) return errno;
  if (family != AF_UNIX) tune_tcp(*fd);
  int code = connect(*fd, at, len) == 0 ? 0 : errno;
  if (code == EINPROGRESS || code == EINTR) code = finish(*fd, deadline);
  if (code != 0) {
    (void)close(*fd);
    *fd = -1;
  }
  return code;
}

static int fail(tc_error *err, int code) {
  if (code == ETIMEDOUT) return tc_error_set(err, TC_ERR_TIMEOUT, "no connection in time");
  if (code == ENOMEM) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  return tc_error_set(err, TC_ERR_CONNECT, "no connection: %s", strerror(code));
}

static int dial_unix(const char *path, double deadline, int *fd, tc_error *err) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len >= sizeof at.sun_path) {
    return tc_error_set(err, TC_ERR_INVALID, "no connection: the path is longer than %zu bytes",
                        sizeof at.sun_path - 1);
  }
  memcpy(at.sun_path, path, len);
  int code = connect_to(AF_UNIX, (struct sockaddr *)&at, sizeof at, deadline, fd);
  return code == 0 ? 0 : fail(err, code);
}

/* Of the time that is left each address gets its part: the first may answer nothing. */
static double share(const struct addrinfo *at, double deadline) {
  double now = tc_monotonic(), count = 0;
  for (; at != NULL; at = at->ai_next) count++;
  return now + (deadline - now) / count;
}

/* getaddrinfo() in a thread of its own. */
typedef struct lookup {
  char port[16];
  struct addrinfo *found;
  int problem, code; /* what it returned, and errno */
  char host[];
} lookup;

static void look_up(lookup *it, int flags) {
  const struct addrinfo hints = {
      .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  errno = 0;
  it->problem = getaddrinfo(it->host, it->port, &hints, &it->found);
  it->code = errno;
}

static void look_up_name(void *data) {
  look_up(data, 0);
}

static void free_lookup(void *data) {
  lookup *it = data;
  if (it->found != NULL) freeaddrinfo(it->found);
  free(it);
}

static lookup *new_lookup(const tc_dial_address *address) {
  size_t size = strlen(address->host) + 1;
  lookup *made = calloc(1, sizeof *made + size);
  if (made == NULL) return NULL;
  (void)snprintf(made->port, sizeof made->port, "%d", address->port);
  memcpy(made->host, address->host, size);
  return made;
}

static lookup *refuse(lookup *it, tc_error *err) {
  bool no_memory = it->problem == EAI_MEMORY || it->code == ENOMEM; /* of any problem's */
  if (no_memory) {
    (void)tc_error_set(err, TC_ERR_NOMEM, NULL);
  } else {
    (void)tc_error_set(err, TC_ERR_CONNECT, "no connection: %s", gai_strerror(it->problem));
  }
  free_lookup(it);
  return NULL;
}

/* The host's addresses; NULL where there are none. */
static lookup *find_host(const tc_dial_address *address, double deadline, tc_error *err) {
  lookup *it = new_lookup(address);
  if (it == NULL) {
    (void)tc_error_set(err, TC_ERR_NOMEM, NULL);
    return NULL;
  }
  look_up(it, AI_NUMERICHOST); /* no thread for what needs no name server */
  if (it->problem == EAI_NONAME) {
    int status = tc_apart_do(&(tc_apart){look_up_name, free_lookup, it}, deadline);
    if (status == TC_ERR_TIMEOUT) {
      (void)tc_error_set(err, status, "no connection: the host's name was not looked up in time");
      return NULL;
    }
    if (status != 0) it->problem = EAI_MEMORY;
  }
  return it->problem == 0 ? it : refuse(it, err);
}

static int dial_tcp(const tc_dial_address *address, double deadline, int *fd, tc_error *err) {
  lookup *host = find_host(address, deadline, err);
  if (host == NULL) return err->number;
  int code = ETIMEDOUT;
  for (const struct addrinfo *at = host->found; at != NULL; at = at->ai_next) {
    code = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, share(at, deadline), fd);
    if (code == 0 || tc_monotonic() >= deadline) break;
  }
  free_lookup(host);
  return code == 0 ? 0 : fail(err, code);
}

int tc_dial(const tc_dial_address *address, double deadline, int *fd, tc_error *err) {
  *fd = -1;
  return address->path != NULL ? dial_unix(address->path, deadline, fd, err)
                               : dial_tcp(address, deadline, fd, err);
}
