#include "backend/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/filelock.h"
#include "backend/tempfile.h"

/* A path in two: an open directory and a name in it. */
typedef struct place {
  int dir;
  const char *name; /* the end of the path */
} place;

static int too_large(tc_error *err, const char *path) {
  return tc_file_error_text(err, path, EFBIG,
                            "over 1 MiB, which no token is; check whether the path is right");
}

static int not_regular(tc_error *err, const char *path, mode_t mode) {
  if (S_ISDIR(mode)) return tc_file_error(err, path, EISDIR);
  if (S_ISLNK(mode)) {
    return tc_file_error_text(err, path, ELOOP,
                              "a symbolic link, and those are not written through; name the file "
                              "itself, or remove the link");
  }
  return tc_file_error_text(err, path, EINVAL, "not a regular file; choose another path");
}

static int open_for_reading(const char *path) {
  int fd;
  do {
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/* Until the room is full or the file ends; -1 if a read fails. */
static ssize_t read_all(int fd, char *room, size_t size, size_t expected) {
  size_t len = 0;
  while (len < size) {
    ssize_t count = read(fd, room + len, size - len);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    len += (size_t)count;
    if (count == 0 || len == expected) break;
  }
  return (ssize_t)len;
}

static int read_open(int fd, const char *path, char *room, size_t size, size_t *len,
                     tc_error *err) {
  struct stat st;
  ssize_t count;
  if (fstat(fd, &st) != 0) return tc_file_error(err, path, errno);
  if (!S_ISREG(st.st_mode)) return not_regular(err, path, st.st_mode);
  if (st.st_size > (off_t)TC_FILE_LIMIT) return too_large(err, path);
  *len = (size_t)st.st_size;
  if (*len > size) return TC_FILE_LARGER;
  count = read_all(fd, room, size, *len);
  if (count < 0) return tc_file_error(err, path, errno);
  *len = (size_t)count;
  return 0;
}

int tc_file_read(const char *path, char *room, size_t size, size_t *len, tc_error *err) {
  int fd = open_for_reading(path);
  if (fd < 0) return errno == ENOENT ? TC_FILE_MISSING : tc_file_error(err, path, errno);
  int status = read_open(fd, path, room, size, len, err);
  (void)close(fd);
  return status;
}

/* Returns 0 or an errno number. */
static int place_open(place *at, const char *path) {
  const char *slash = strrchr(path, '/');
  char dir[PATH_MAX] = ".";
  at->name = slash != NULL ? slash + 1 : path;
  if (slash != NULL) {
    size_t len = (size_t)(slash - path) + 1;
    if (len >= sizeof dir) return ENAMETOOLONG;
    memcpy(dir, path, len);
    dir[len] = '\0';
  }
  if (at->name[0] == '\0') return slash != NULL ? EISDIR : ENOENT;
  do {
    at->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (at->dir < 0 && errno == EINTR);
  return at->dir < 0 ? errno : 0;
}

/* A rename is durable once its directory is. Some file systems cannot sync one, and say EINVAL. */
static int sync_place(const place *at) {
  int failed;
  do {
    failed = fsync(at->dir);
  } while (failed && errno == EINTR);
  return failed && errno != EINVAL ? errno : 0;
}

/* Returns 0, TC_FILE_MISSING, or an error for what must not be replaced or removed. */
static int look(const place *at, const char *path, tc_error *err) {
  struct stat st;
  if (tc_tempfile_is_slot(at->name) || tc_filelock_is_side(at->name)) {
    return tc_file_error_text(err, path, EINVAL,
                              "that name is for temporary files and locks; choose another path");
  }
  if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? TC_FILE_MISSING : tc_file_error(err, path, errno);
  }
  return S_ISREG(st.st_mode) ? 0 : not_regular(err, path, st.st_mode);
}

static int no_directory(tc_error *err, const char *path) {
  const char *slash = strrchr(path, '/');
  char text[192] = "its directory does not exist; create ";
  size_t len = strlen(text);
  if (path[0] == '~') {
    return tc_file_error_text(err, path, ENOENT,
                              "its directory does not exist; ~ means nothing here, write out the "
                              "home directory (os.getenv \"HOME\")");
  }
  tc_str dir = slash != NULL ? (tc_str){path, (size_t)(slash - path)} : TC_STR(".");
  tc_error_copy_foreign(text + len, sizeof text - len, dir);
  return tc_file_error_text(err, path, ENOENT, text);
}

static int not_written(tc_error *err, const char *path, int number) {
  switch (number) {
  case EACCES:
    return tc_file_error_text(err, path, number,
                              "permission denied in its directory; give this user write access "
                              "there, or choose another path");
  case EBUSY:
    return tc_file_error_text(err, path, number,
                              "too many writers at once; try again, or remove the files "
                              "*.tokencache-tmp* beside it if there are none");
  default:
    return tc_file_error(err, path, number);
  }
}

/* Returns 0 or an errno number. */
static int replace(const place *at, tc_str bytes) {
  tc_tempfile temp;
  int number = tc_tempfile_open(&temp, at->dir, at->name);
  if (number != 0) return number;
  number = tc_tempfile_write(&temp, bytes);
  if (number == 0) number = tc_tempfile_rename(&temp, at->name);
  tc_tempfile_close(&temp);
  return number != 0 ? number : sync_place(at);
}

static int write_at(const place *at, const char *path, tc_str bytes, tc_error *err) {
  int status = look(at, path, err);
  if (status < 0) return status;
  int number = replace(at, bytes);
  return number != 0 ? not_written(err, path, number) : 0;
}

int tc_file_write(const char *path, tc_str bytes, tc_error *err) {
  place at;
  if (bytes.len > TC_FILE_LIMIT) return too_large(err, path);
  int number = place_open(&at, path);
  if (number == ENOENT) return no_directory(err, path);
  if (number != 0) return not_written(err, path, number);
  int status = write_at(&at, path, bytes, err);
  (void)close(at.dir);
  return status;
}

static int remove_at(const place *at, const char *path, tc_error *err) {
  int status = look(at, path, err);
  if (status < 0) return status;
  tc_tempfile_sweep(at->dir, at->name);
  if (unlinkat(at->dir, at->name, 0) != 0 && errno != ENOENT) {
    return not_written(err, path, errno);
  }
  int number = sync_place(at);
  return number != 0 ? not_written(err, path, number) : 0;
}

int tc_file_remove(const char *path, tc_error *err) {
  place at;
  int number = place_open(&at, path);
  if (number == ENOENT) return 0;
  if (number != 0) return not_written(err, path, number);
  int status = remove_at(&at, path, err);
  (void)close(at.dir);
  return status;
}
