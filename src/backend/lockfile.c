#include "backend/lockfile.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/owner.h"
#include "backend/retry.h"

#define FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define ATTEMPTS 10

static int denied(const tc_lockfile *file, tc_error *err) {
  struct stat st;
  if (lstat(file->side, &st) == 0 && st.st_uid != geteuid()) {
    return tc_file_of_another(err, file->side, st.st_uid,
                              "and this one may not open it; remove it while nobody uses it, or "
                              "give it to this user (chown)");
  }
  return tc_file_error_text(err, file->side, EACCES,
                            "permission denied; give this user write access to it and to its "
                            "directory");
}

int tc_lockfile_not_locked(const tc_lockfile *file, int number, tc_error *err) {
  const char *side = file->side;
  switch (number) {
  case EACCES:
    return denied(file, err);
  case EINVAL:
  case ENXIO:
    return tc_file_error_text(err, side, number,
                              "not a regular file, which the lock needs; remove it");
  case EISDIR:
    return tc_file_error_text(err, side, number,
                              "a directory, where the lock needs a file; remove it");
  case ELOOP:
    return tc_file_error_text(err, side, number,
                              "a symbolic link, and no lock is taken through one; remove it");
  case ENOENT:
    return tc_file_error_text(err, side, number, "its directory does not exist; create it");
  case ENAMETOOLONG:
    return tc_file_name_too_long(err, file->beside);
  case EOPNOTSUPP:
    return tc_file_error_text(err, side, number,
                              "the file system has no locks; choose a path on another");
  default:
    return tc_file_error(err, side, number);
  }
}

/* Returns whose the lock's file is to be: whoever may write to what it is for may lock it. */
static tc_owner owner_of(const tc_lockfile *file) {
  struct stat st;
  char directory[PATH_MAX];
  if (stat(file->beside, &st) != 0 || !S_ISREG(st.st_mode)) {
    const char *slash = strrchr(file->side, '/');
    size_t len = slash != NULL ? (size_t)(slash - file->side) + 1 : 0;
    memcpy(directory, file->side, len);
    memcpy(directory + len, ".", 2);
    if (stat(directory, &st) != 0) return (tc_owner){.uid = geteuid(), .gid = getegid(), 0600};
  }
  tc_owner owner = tc_owner_of(&st);
  owner.mode = (owner.mode & 0020) != 0 ? 0660 : 0600;
  return owner;
}

static int check(const tc_lockfile *file, int fd, tc_error *err) {
  struct stat st;
  uid_t user = geteuid();
  if (fstat(fd, &st) != 0) return tc_lockfile_not_locked(file, errno, err);
  if (!S_ISREG(st.st_mode)) return tc_lockfile_not_locked(file, EINVAL, err);
  tc_owner owner = owner_of(file);
  if (st.st_uid == user && st.st_nlink == 1 && user != 0) (void)tc_owner_give(fd, &owner);
  if (file->any_owner || tc_owner_is_known(st.st_uid) || (user == 0 && st.st_uid == owner.uid)) {
    return fd;
  }
  return tc_file_of_another(err, file->side, st.st_uid,
                            "who could keep it locked; remove it, choose another path, or give "
                            "allow_foreign = true");
}

static int open_with(const tc_lockfile *file, int flags) {
  int fd;
  TC_RETRY(fd, open(file->side, flags, 0600));
  return fd;
}

int tc_lockfile_open(const tc_lockfile *file, tc_error *err) {
  for (int i = 0; i < ATTEMPTS; i++) {
    int fd = open_with(file, FLAGS);
    if (fd >= 0) {
      int status = check(file, fd, err);
      if (status < 0) (void)close(fd);
      return status;
    }
    if (errno != ENOENT) break;
    fd = open_with(file, FLAGS | O_CREAT | O_EXCL);
    if (fd >= 0) {
      tc_owner owner = owner_of(file);
      (void)tc_owner_give(fd, &owner);
      return fd;
    }
    if (errno != EEXIST) break;
  }
  return tc_lockfile_not_locked(file, errno, err);
}
