#include "backend/loopback_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "backend/owner.h"

#define MOST_LOOKS 3     /* an entry may be missed while others come and go */
#define CHUNK 8192       /* bytes read at a time, many lines */
#define ENDPOINT_SIZE 38 /* "00000000000000000000000001000000:1F90" */
#define PAIR_SIZE (2 * ENDPOINT_SIZE + 2)

enum { IPV4, IPV6, TABLES };

typedef union address {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
} address;

typedef bool (*end_of)(int fd, address *at);

static bool own_end(int fd, address *at) {
  socklen_t len = sizeof *at;
  return getsockname(fd, &at->any, &len) == 0;
}

static bool other_end(int fd, address *at) {
  socklen_t len = sizeof *at;
  return getpeername(fd, &at->any, &len) == 0;
}

/* --- the tables' lines ----------------------------------------------------------------------- */

/* An address as the tables write it: words of 32 bits in the byte order of the machine. */
static void write_endpoint(char out[ENDPOINT_SIZE], const address *at, int table) {
  uint32_t words[4] = {0};
  bool is_ipv6 = at->any.sa_family == AF_INET6;
  unsigned port = ntohs(is_ipv6 ? at->ipv6.sin6_port : at->ipv4.sin_port);
  if (is_ipv6) {
    memcpy(words, &at->ipv6.sin6_addr, sizeof words);
  } else { /* in the table of IPv6 it is mapped */
    words[2] = htonl(0xFFFF);
    words[3] = at->ipv4.sin_addr.s_addr;
  }
  if (table == IPV4) {
    (void)snprintf(out, ENDPOINT_SIZE, "%08" PRIX32 ":%04X", words[3], port);
  } else {
    (void)snprintf(out, ENDPOINT_SIZE, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32 "%08" PRIX32 ":%04X",
                   words[0], words[1], words[2], words[3], port);
  }
}

/* What follows the addresses: state, queues, timer, retransmissions, uid, timeout, inode. A socket
   that its process has closed has neither an inode nor an owner any more. */
static bool read_owner(const char *rest, int64_t *uid) {
  unsigned long inode = 0;
  return sscanf(rest, "%*s %*s %*s %*s %" SCNd64 " %*s %lu", uid, &inode) == 2 && inode != 0;
}

/* Looks for the line that begins, after its number, with the pair. */
static bool search(int table, const char *pair, int64_t *uid) {
  char text[CHUNK + 1];
  size_t len = 0;
  if (lseek(table, 0, SEEK_SET) < 0) return false;
  for (;;) {
    ssize_t got = read(table, text + len, CHUNK - len);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    len += (size_t)got;
    text[len] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
      *end = '\0';
      const char *found = strstr(line, pair);
      if (found != NULL && read_owner(found + strlen(pair), uid)) return true;
    }
    len -= (size_t)(line - text);
    if (len == CHUNK) return false; /* no such line */
    memmove(text, line, len);
  }
}

/* Finds whose socket it is that is bound to `from` and connected to `to`. */
static bool find_owner(const tc_peers *peers, const address *from, const address *to,
                       int64_t *uid) {
  for (int look = 0; look < MOST_LOOKS; look++) {
    for (int table = 0; table < TABLES; table++) {
      char pair[PAIR_SIZE], source[ENDPOINT_SIZE], target[ENDPOINT_SIZE];
      bool may_hold = table == IPV6 || from->any.sa_family == AF_INET;
      if (peers->tables[table] < 0 || !may_hold) continue;
      write_endpoint(source, from, table);
      write_endpoint(target, to, table);
      (void)snprintf(pair, sizeof pair, "%s %s ", source, target);
      if (search(peers->tables[table], pair, uid)) return true;
    }
  }
  *uid = TC_PEER_UNKNOWN;
  return false;
}

static bool has_owner(const tc_peers *peers, int fd, end_of from, end_of to, int64_t *uid) {
  address source, target;
  *uid = TC_PEER_UNKNOWN;
  return from(fd, &source) && to(fd, &target) && find_owner(peers, &source, &target, uid);
}

/* --- whom to trust --------------------------------------------------------------------------- */

/* Who called sudo is trusted too: it is that user's browser that answers. */
static bool is_trusted(int64_t uid) {
  return uid >= 0 && (tc_owner_is_known((uid_t)uid) || (uid_t)uid == getuid());
}

/* False only where a connection of our own is not told as ours. */
static bool tell_ourselves(const tc_peers *peers) {
  address at;
  int64_t uid = TC_PEER_UNKNOWN;
  bool told = true;
  struct timeval patience = {1, 0};
  if (!own_end(peers->listener, &at)) return true;
  socklen_t len = at.any.sa_family == AF_INET6 ? sizeof at.ipv6 : sizeof at.ipv4;
  int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
      connect(fd, &at.any, len) == 0) {
    told = has_owner(peers, fd, own_end, other_end, &uid) && is_trusted(uid);
  }
  if (fd >= 0) (void)close(fd);
  return told;
}

bool tc_peers_trust(tc_peers *peers, int fd, int64_t *uid) {
  *uid = TC_PEER_UNKNOWN;
  if (peers->tables[IPV4] < 0 && peers->tables[IPV6] < 0) return true;
  if (has_owner(peers, fd, other_end, own_end, uid)) return is_trusted(*uid);
  if (!peers->is_tested && !tell_ourselves(peers)) {
    tc_peers_close(peers);
    return true;
  }
  peers->is_tested = true;
  return peers->may_be_elsewhere;
}

/* --- open ------------------------------------------------------------------------------------ */

static int open_table(int *table, const char *path, tc_error *err) {
  *table = open(path, O_RDONLY | O_CLOEXEC);
  if (*table >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM)) return 0;
  /* not to be told is one thing, not to be able to ask another */
  return tc_error_set(err, TC_ERR_UNAVAILABLE,
                      "the redirect listener: too many files are open; close some");
}

/* Under WSL the browser may be that of Windows. */
static bool is_guest_of_windows(void) {
  char text[256] = "";
  int fd = open("/proc/sys/kernel/osrelease", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t got = read(fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    (void)close(fd);
  }
  return strstr(text, "icrosoft") != NULL;
}

int tc_peers_open(tc_peers *peers, int listener, tc_error *err) {
  int status = open_table(&peers->tables[IPV4], "/proc/net/tcp", err);
  if (status == 0) status = open_table(&peers->tables[IPV6], "/proc/net/tcp6", err);
  if (status < 0) return status;
  peers->may_be_elsewhere = is_guest_of_windows();
  peers->listener = listener;
  return 0;
}

void tc_peers_close(tc_peers *peers) {
  for (int table = 0; table < TABLES; table++) {
    if (peers->tables[table] >= 0) (void)close(peers->tables[table]);
  }
  *peers = TC_PEERS_NONE;
}
