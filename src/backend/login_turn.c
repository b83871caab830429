#include "backend/login_turn.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket with an abstract name (Linux): as the port, it is one of the network namespace's, and it
   leaves nothing behind, however the process ends. */
bool tc_turn_take(int *turn, uint16_t port) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  *turn = TC_TURN_NONE;
#ifdef __linux__
  size_t room = sizeof at.sun_path - 1;
  int len = snprintf(at.sun_path + 1, room, "tokencache/login/%lu/%u", (unsigned long)geteuid(),
                     (unsigned)port);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  if (bind(fd, (struct sockaddr *)&at, size) < 0) {
    bool is_taken = errno == EADDRINUSE;
    (void)close(fd);
    return !is_taken;
  }
  *turn = fd;
#else
  (void)port, (void)at;
#endif
  return true;
}

void tc_turn_end(int *turn) {
  if (*turn != TC_TURN_NONE) (void)close(*turn);
  *turn = TC_TURN_NONE;
}
