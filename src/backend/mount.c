#define _GNU_SOURCE /* statx; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/mount.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/retry.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

#define MOUNT_POINT 5 /* the field of mountinfo, counted from 1 */

/* A file read byte by byte through a block of its own. */
typedef struct source {
  int fd;
  size_t at, len;
  char block[4096];
} source;

/* Returns the next byte, or EOF. */
static int next(source *from) {
  if (from->at == from->len) {
    ssize_t count;
    TC_RETRY(count, read(from->fd, from->block, sizeof from->block));
    if (count <= 0) return EOF;
    from->at = 0;
    from->len = (size_t)count;
  }
  return (unsigned char)from->block[from->at++];
}

/* Like next, but writes a blank and what else is escaped in a field as \ooo as one byte, and ends
   the field with '\n' or ' '. */
static int next_in_field(source *from, bool *is_escaped) {
  int c = next(from);
  *is_escaped = c == '\\';
  if (c != '\\') return c;
  int value = 0;
  for (int i = 0; i < 3; i++) value = value * 8 + (next(from) - '0');
  return value & 0xff;
}

static bool field_is(source *from, const char *text, int *last) {
  bool is_same = true, is_escaped;
  int c;
  while ((c = next_in_field(from, &is_escaped)) != EOF && (is_escaped || (c != ' ' && c != '\n'))) {
    is_same = is_same && *text != '\0' && (unsigned char)*text == c;
    if (*text != '\0') text++;
  }
  *last = c;
  return is_same && *text == '\0';
}

/* One line of mountinfo: "36 35 98:0 /root /mount/point options - type source options" */
static bool line_is(source *from, const char *path, int *last) {
  bool is_at_path = false;
  *last = ' ';
  for (int field = 1; *last == ' '; field++) {
    bool is_same = field_is(from, path, last);
    if (field == MOUNT_POINT) is_at_path = is_same;
  }
  return is_at_path;
}

bool tc_mount_is_listed(const char *path) {
  source from = {.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)};
  bool is_listed = false;
  int last = '\n';
  if (from.fd < 0) return false;
  while (!is_listed && last != EOF) is_listed = line_is(&from, path, &last);
  (void)close(from.fd);
  return is_listed;
}

/* Writes the absolute path of `name` in the directory, as /proc knows it. */
static bool find_path(char *path, size_t size, int dir, const char *name) {
  char link[64];
  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
  ssize_t len = readlink(link, path, size - 1);
  if (len <= 0 || path[0] != '/') return false;
  if (len == 1) len = 0; /* the root */
  int more = snprintf(path + len, size - (size_t)len, "/%s", name);
  return more > 0 && (size_t)len + (size_t)more < size;
}

bool tc_mount_is_at(int dir, const char *name) {
  char path[PATH_MAX];
#ifdef STATX_TYPE /* musl has it from 1.2.5 on */
  struct statx st;
  if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
      (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0) {
    return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
#endif
  return find_path(path, sizeof path, dir, name) && tc_mount_is_listed(path);
}
