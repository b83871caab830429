#define _GNU_SOURCE /* F_OFD_SETLK; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/filelock.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/lockfile.h"
#include "backend/retry.h"

#define SUFFIX ".tokencache-lock"
#define MARKS ((off_t)1 << (8 * sizeof(off_t) - 2)) /* beyond all that place_of returns */
#define PROCESS_SHIFT 40 /* an id is the process's number above, a serial number below */

static const off_t WHOLE = -1;

typedef struct entry {
  uint64_t id;
  int fd; /* -1: reserved */
  dev_t device;
  ino_t inode;
  off_t at; /* of the byte that is locked; WHOLE */
} entry;

static struct {
  pthread_mutex_t mutex;
  entry *entries; /* NULL while there are none */
  size_t count, room;
  uint64_t serial;
  pid_t process; /* whose entries these are */
  bool watches_forks;
} registry = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* In a child: the locks are the parent's, and stay locked though these descriptors are closed. */
static void forget_inherited(void) {
  for (size_t i = 0; i < registry.count; i++) {
    if (registry.entries[i].fd >= 0) (void)close(registry.entries[i].fd);
  }
  registry.count = 0;
  registry.process = getpid();
}

static void before_fork(void) {
  (void)pthread_mutex_lock(&registry.mutex);
}

static void after_fork_in_parent(void) {
  (void)pthread_mutex_unlock(&registry.mutex);
}

static void after_fork_in_child(void) {
  forget_inherited();
  (void)pthread_mutex_unlock(&registry.mutex);
}

static void enter(void) {
  (void)pthread_mutex_lock(&registry.mutex);
  if (registry.process != getpid()) forget_inherited(); /* a fork that told nobody */
}

static void leave(void) {
  if (registry.count == 0) {
    free(registry.entries);
    registry.entries = NULL;
    registry.room = 0;
  }
  (void)pthread_mutex_unlock(&registry.mutex);
}

static bool watch_forks(void) {
  if (!registry.watches_forks) {
    registry.watches_forks =
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
  }
  return registry.watches_forks;
}

static bool make_room(void) {
  if (registry.count < registry.room) return true;
  size_t room = registry.room > 0 ? 2 * registry.room : 8;
  entry *entries = realloc(registry.entries, room * sizeof *entries);
  if (entries == NULL) return false;
  registry.entries = entries;
  registry.room = room;
  return true;
}

static entry *find(uint64_t id) {
  for (size_t i = 0; i < registry.count; i++) {
    if (registry.entries[i].id == id) return &registry.entries[i];
  }
  return NULL;
}

static struct flock part_at(off_t at, short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static off_t mark_of(off_t at) {
  return MARKS + (at == WHOLE ? 0 : at);
}

/* Over NFS a flock is a lock on the whole file, which is no mark. */
static bool is_marked(int fd, off_t at) {
  struct flock part = part_at(mark_of(at), F_WRLCK);
  return fcntl(fd, F_OFD_GETLK, &part) == 0 && part.l_type != F_UNLCK &&
         part.l_start == mark_of(at);
}

/* Returns 0 or an errno number, EWOULDBLOCK if it is taken. */
static int set_lock(int fd, off_t at, bool is_to_be_held) {
  struct flock part = part_at(at, is_to_be_held ? F_WRLCK : F_UNLCK);
  int failed;
  if (at == WHOLE && is_to_be_held) return tc_filelock_flock(fd);
  if (at == WHOLE) return flock(fd, LOCK_UN) != 0 ? errno : 0;
  TC_RETRY(failed, fcntl(fd, F_OFD_SETLK, &part));
  if (!failed) return 0;
  return errno == EACCES ? EWOULDBLOCK : errno;
}

/* FNV-1a. A sum of 62 bits leaves room for the byte's end in an off_t. */
static off_t place_of(tc_str part) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < part.len; i++) {
    hash = (hash ^ (unsigned char)part.data[i]) * UINT64_C(1099511628211);
  }
  return (off_t)(hash >> (66 - 8 * sizeof(off_t)));
}

/* Unlocks as well: a child of a fork that told nobody may have the descriptor too. */
static void drop(entry *dropped) {
  if (dropped->fd >= 0) {
    (void)set_lock(dropped->fd, mark_of(dropped->at), false);
    (void)set_lock(dropped->fd, dropped->at, false);
    (void)close(dropped->fd);
  }
  *dropped = registry.entries[--registry.count];
}

static bool is_held_here(const struct stat *st, off_t at) {
  for (size_t i = 0; i < registry.count; i++) {
    const entry *held = &registry.entries[i];
    if (held->fd >= 0 && held->at == at && held->inode == st->st_ino &&
        held->device == st->st_dev) {
      return true;
    }
  }
  return false;
}

int tc_filelock_flock(int fd) {
  int failed;
  TC_RETRY(failed, flock(fd, LOCK_EX | LOCK_NB));
  return failed ? errno : 0;
}

/* Takes `fd` into the entry if it could be locked. */
static int lock_open(entry *taken, int fd, off_t at, const tc_lockfile *file, tc_error *err) {
  struct stat st;
  int number = set_lock(fd, at, true);
  if (number == EINVAL) number = EOPNOTSUPP; /* Linux before 3.15 */
  if (number != 0 && number != EWOULDBLOCK) return tc_lockfile_not_locked(file, number, err);
  if (fstat(fd, &st) != 0) return tc_lockfile_not_locked(file, errno, err);
  if (number != 0) {
    return TC_FILELOCK_TAKEN | (is_held_here(&st, at) ? TC_FILELOCK_HERE : 0) |
           (is_marked(fd, at) ? TC_FILELOCK_OWED : 0);
  }
  if (st.st_nlink == 0) return TC_FILELOCK_TAKEN; /* somebody removed it; the next try is right */
  *taken = (entry){.id = taken->id, .fd = fd, .device = st.st_dev, .inode = st.st_ino, .at = at};
  return 0;
}

/* The mutex is held all the time, so that no fork comes between open and entry. */
static int take(entry *taken, off_t at, const tc_lockfile *file, tc_error *err) {
  int fd = tc_lockfile_open(file, err);
  int status = fd >= 0 ? lock_open(taken, fd, at, file, err) : fd;
  if (status == 0) return 0;
  if (fd >= 0) (void)close(fd);
  drop(taken);
  return status;
}

uint64_t tc_filelock_reserve(void) {
  uint64_t id = 0;
  enter();
  if (watch_forks() && make_room()) {
    id = ((uint64_t)registry.process << PROCESS_SHIFT) + ++registry.serial;
    registry.entries[registry.count++] = (entry){.id = id, .fd = -1};
  }
  leave();
  return id;
}

int tc_filelock_try(uint64_t id, const char *path, tc_str part, bool any_owner, tc_error *err) {
  char side[PATH_MAX];
  tc_lockfile file = {.side = side, .beside = path, .any_owner = any_owner};
  int len = snprintf(side, sizeof side, "%s%s" SUFFIX, path, part.data != NULL ? "/" : "");
  enter();
  entry *taken = find(id);
  int status = TC_FILELOCK_TAKEN | TC_FILELOCK_HERE; /* released meanwhile, or held already */
  if (taken != NULL && taken->fd < 0) {
    if (len < (int)sizeof side) {
      status = take(taken, part.data != NULL ? place_of(part) : WHOLE, &file, err);
    } else {
      drop(taken);
      status = tc_file_name_too_long(err, path);
    }
  }
  leave();
  return status;
}

void tc_filelock_keep(uint64_t id) {
  enter();
  const entry *kept = find(id);
  if (kept != NULL && kept->fd >= 0) (void)set_lock(kept->fd, mark_of(kept->at), true);
  leave();
}

void tc_filelock_release(uint64_t id) {
  enter();
  entry *released = find(id);
  if (released != NULL) drop(released);
  leave();
}

bool tc_filelock_is_held(uint64_t id) {
  struct stat st;
  enter();
  const entry *held = find(id);
  bool is_held = held != NULL && held->fd >= 0 && fstat(held->fd, &st) == 0 && st.st_nlink > 0;
  leave();
  return is_held;
}

bool tc_filelock_is_side(const char *name) {
  size_t len = strlen(name), tail = sizeof SUFFIX - 1;
  return len >= tail && strcmp(name + len - tail, SUFFIX) == 0;
}
