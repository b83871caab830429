#define _GNU_SOURCE /* dup3; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/memcached_fork.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* libmemcached tells the ports of a connection, not its descriptor. */
typedef struct connection {
  in_port_t local, remote;
} connection;

static in_port_t port_of(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) {
    return ntohs(((const struct sockaddr_in *)address)->sin_port);
  }
  if (address->ss_family == AF_INET6) {
    return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
  }
  return 0;
}

static bool is_end_of(const connection *wanted, int fd) {
  struct sockaddr_storage local = {0}, remote = {0};
  socklen_t local_len = sizeof local, remote_len = sizeof remote;
  return getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 &&
         getpeername(fd, (struct sockaddr *)&remote, &remote_len) == 0 &&
         port_of(&local) == wanted->local && port_of(&remote) == wanted->remote;
}

static int find(const connection *wanted) {
  int found = -1;
  DIR *dir = opendir("/proc/self/fd");
  if (dir == NULL) return -1;
  for (struct dirent *entry; found < 0 && (entry = readdir(dir)) != NULL;) {
    char *end;
    long fd = strtol(entry->d_name, &end, 10);
    if (*end == '\0' && end != entry->d_name && is_end_of(wanted, (int)fd)) found = (int)fd;
  }
  (void)closedir(dir);
  return found;
}

static bool replace_by_dead_end(int fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
  bool done = dup3(pair[0], fd, O_CLOEXEC) == fd;
  (void)close(pair[0]);
  (void)close(pair[1]);
  return done;
}

static memcached_return_t disown(const memcached_st *client, const memcached_instance_st *server,
                                 void *all_done) {
  connection wanted = {memcached_server_srcport(server), memcached_server_port(server)};
  (void)client;
  if (memcached_server_name(server)[0] == '/') {
    *(bool *)all_done = false; /* a unix socket has no ports */
  } else if (wanted.local != 0) {
    int fd = find(&wanted);
    if (fd < 0 || !replace_by_dead_end(fd)) *(bool *)all_done = false;
  }
  return MEMCACHED_SUCCESS;
}

bool tc_memcached_disown(memcached_st *client) {
  bool all_done = true;
  memcached_server_fn each[] = {disown};
  memcached_return_t status = memcached_server_cursor(client, each, &all_done, 1);
  return memcached_success(status) && all_done;
}
