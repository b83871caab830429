#define _GNU_SOURCE /* POLLRDHUP; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/http_sockets.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

void tc_http_forget_sockets(tc_http_sockets *sockets) {
  for (size_t i = 0; i < TC_HTTP_MOST_SOCKETS; i++) sockets->slots[i].fd = -1;
}

curl_socket_t tc_http_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
  tc_http_sockets *sockets = data;
  (void)purpose;
  for (size_t i = 0; i < TC_HTTP_MOST_SOCKETS; i++) {
    struct stat is;
    if (sockets->slots[i].fd >= 0) continue;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    sockets->slots[i].fd = fd;
    sockets->slots[i].inode = fstat(fd, &is) == 0 ? is.st_ino : 0;
    return fd;
  }
  return CURL_SOCKET_BAD;
}

int tc_http_close_socket(void *data, curl_socket_t fd) {
  tc_http_sockets *sockets = data;
  for (size_t i = 0; i < TC_HTTP_MOST_SOCKETS; i++) {
    if (sockets->slots[i].fd == fd) sockets->slots[i].fd = -1;
  }
  return close(fd);
}

bool tc_http_is_one_closed(const tc_http_sockets *sockets) {
  struct pollfd polled[TC_HTTP_MOST_SOCKETS];
  for (size_t i = 0; i < TC_HTTP_MOST_SOCKETS; i++) {
    polled[i] = (struct pollfd){.fd = sockets->slots[i].fd, .events = POLLRDHUP};
  }
  return poll(polled, TC_HTTP_MOST_SOCKETS, 0) > 0;
}

/* Whether `fd` is still what it was: a forked child may have closed it and opened something else.
 */
static bool is_same(int fd, ino_t inode) {
  struct stat is;
  return fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode) && is.st_ino == inode;
}

void tc_http_abandon_sockets(tc_http_sockets *sockets) {
  for (size_t i = 0; i < TC_HTTP_MOST_SOCKETS; i++) {
    int fd = sockets->slots[i].fd;
    if (fd >= 0 && is_same(fd, sockets->slots[i].inode)) (void)close(fd);
  }
  tc_http_forget_sockets(sockets);
}
