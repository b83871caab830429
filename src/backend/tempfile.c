#define _GNU_SOURCE /* fallocate; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/tempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/filelock.h"
#include "backend/owner.h"
#include "backend/retry.h"

#define SLOTS 8
#define SUFFIX ".tokencache-tmp"
#define WAIT_NANOSECONDS 1000000L
#define WAITS 5000

static int slot_name(char *to, const char *name, int slot) {
  int len = snprintf(to, NAME_MAX + 1, "%s" SUFFIX "%d", name, slot);
  return len > NAME_MAX ? ENAMETOOLONG : 0;
}

bool tc_tempfile_is_slot(const char *name) {
  size_t len = strlen(name), tail = sizeof SUFFIX; /* the suffix and one digit */
  return len >= tail && memcmp(name + len - tail, SUFFIX, sizeof SUFFIX - 1) == 0 &&
         name[len - 1] >= '0' && name[len - 1] < '0' + SLOTS;
}

/* Removes an open slot if its writer is dead. Reports whether it may become free by itself. */
static bool reap_open(int dir, const char *name, int fd) {
  struct stat opened, named;
  int number = tc_filelock_flock(fd);
  if (fstat(fd, &opened) != 0 || !S_ISREG(opened.st_mode)) return false;
  if (number == EWOULDBLOCK) return geteuid() == 0 || tc_owner_is_known(opened.st_uid);
  /* who has the lock may remove the name, as long as it still is the name of what was locked */
  if (number != 0 || fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
      named.st_ino != opened.st_ino || named.st_dev != opened.st_dev) {
    return true;
  }
  return unlinkat(dir, name, 0) == 0;
}

/* Likewise of the slot `name`, which need not be there. */
static bool reap(int dir, const char *name) {
  int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT || errno == EINTR;
  bool is_passing = reap_open(dir, name, fd);
  (void)close(fd);
  return is_passing;
}

bool tc_tempfile_sweep(int dir, const char *name) {
  char slot[NAME_MAX + 1];
  bool is_passing = false;
  for (int i = 0; i < SLOTS; i++) {
    if (slot_name(slot, name, i) != 0 || reap(dir, slot)) is_passing = true;
  }
  return is_passing;
}

/* Makes a slot just created ours. EAGAIN if another process locked it first: that one takes it for
   abandoned and removes it. A file system without locks serves too; there the slot of a killed
   writer stays. */
static int own(int fd, const tc_owner *owner) {
  struct stat st;
  if (tc_filelock_flock(fd) == EWOULDBLOCK) return EAGAIN;
  if (fstat(fd, &st) != 0) return errno;
  if (st.st_nlink == 0) return EAGAIN;
  if (owner != NULL) return tc_owner_give(fd, owner);
  return (st.st_mode & 0777) != 0600 && fchmod(fd, 0600) != 0 ? errno : 0;
}

/* EEXIST or EAGAIN if the slot is taken. */
static int create(tc_tempfile *temp, const tc_owner *owner) {
  int number;
  temp->fd = openat(temp->dir, temp->name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
  if (temp->fd < 0) return errno;
  number = own(temp->fd, owner);
  if (number == 0) return 0;
  if (number != EAGAIN) (void)unlinkat(temp->dir, temp->name, 0);
  (void)close(temp->fd);
  return number;
}

static bool is_taken(int number) {
  return number == EEXIST || number == EAGAIN || number == EINTR;
}

static int create_in_first_free_slot(tc_tempfile *temp, const char *name, const tc_owner *owner) {
  for (int i = 0; i < SLOTS; i++) {
    int number = slot_name(temp->name, name, i);
    if (number == 0) number = create(temp, owner);
    if (!is_taken(number)) return number;
  }
  return EBUSY;
}

int tc_tempfile_open(tc_tempfile *temp, int dir, const char *name, const tc_owner *owner) {
  const struct timespec pause = {0, WAIT_NANOSECONDS};
  int number = EBUSY;
  temp->dir = dir;
  temp->fd = -1;
  for (int i = 0; i < WAITS && number == EBUSY; i++) {
    if (i > 0) (void)nanosleep(&pause, NULL);
    bool is_passing = tc_tempfile_sweep(dir, name);
    number = create_in_first_free_slot(temp, name, owner);
    if (number == EBUSY && !is_passing) number = EEXIST;
  }
  return number;
}

/* Beyond RLIMIT_FSIZE the system would kill a program that does not ignore SIGXFSZ. */
static bool is_over_limit(size_t len) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         len > limit.rlim_cur;
}

int tc_tempfile_write(tc_tempfile *temp, tc_str bytes) {
  if (is_over_limit(bytes.len)) return EFBIG;
  while (bytes.len > 0) {
    ssize_t count;
    TC_RETRY(count, write(temp->fd, bytes.data, bytes.len));
    if (count < 0) return errno;
    bytes.data += count;
    bytes.len -= (size_t)count;
  }
  return 0;
}

static int sync_file(int fd) {
  int failed;
  TC_RETRY(failed, fsync(fd));
  return failed ? errno : 0;
}

/* What the file system cannot set aside is written: posix_fallocate would do it too, but not wait
   for the disk, which alone tells whether there is room. */
static int write_blanks(tc_tempfile *temp, size_t size) {
  static const char blanks[4096];
  int number = 0;
  while (number == 0 && size > 0) {
    size_t len = size < sizeof blanks ? size : sizeof blanks;
    number = tc_tempfile_write(temp, (tc_str){blanks, len});
    size -= len;
  }
  return number;
}

static int set_aside(int fd, size_t size) {
  int failed;
  TC_RETRY(failed, fallocate(fd, 0, 0, (off_t)size));
  return failed ? errno : 0;
}

int tc_tempfile_reserve(tc_tempfile *temp, size_t size) {
  int number = 0;
  if (is_over_limit(size)) return EFBIG;
  if (size > 0) number = set_aside(temp->fd, size);
  if (number == EOPNOTSUPP || number == ENOSYS) number = write_blanks(temp, size);
  return number != 0 ? number : sync_file(temp->fd);
}

int tc_tempfile_rename(tc_tempfile *temp, const char *name) {
  int number = sync_file(temp->fd);
  if (number != 0) return number;
  if (renameat(temp->dir, temp->name, temp->dir, name) != 0) return errno;
  temp->name[0] = '\0';
  return 0;
}

int tc_tempfile_close(tc_tempfile *temp) {
  int number = 0;
  if (temp->fd < 0) return 0;
  if (temp->name[0] != '\0' && unlinkat(temp->dir, temp->name, 0) != 0) number = errno;
  (void)close(temp->fd);
  temp->fd = -1;
  return number;
}
