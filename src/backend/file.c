#include "backend/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/owner.h"
#include "backend/place.h"
#include "backend/retry.h"
#include "backend/tempfile.h"

int tc_file_too_large(tc_error *err, const char *path) {
  return tc_file_error_text(err, path, EFBIG,
                            "over 1 MiB, which no token is; check whether the path is right");
}

/* Until the room is full or the file ends; -1 if a read fails. */
static ssize_t read_all(int fd, char *room, size_t size, size_t expected) {
  size_t len = 0;
  while (len < size) {
    ssize_t count;
    TC_RETRY(count, read(fd, room + len, size - len));
    if (count < 0) return -1;
    len += (size_t)count;
    if (count == 0 || len == expected) break;
  }
  return (ssize_t)len;
}

static int read_open(int fd, const char *path, bool any_owner, char *room, size_t size,
                     tc_file_seen *seen, tc_error *err) {
  struct stat st;
  ssize_t count;
  if (fstat(fd, &st) != 0) return tc_file_error(err, path, errno);
  if (!S_ISREG(st.st_mode)) return tc_place_not_regular(err, path, st.st_mode);
  if (st.st_size > (off_t)TC_FILE_LIMIT) return tc_file_too_large(err, path);
  if (!any_owner && geteuid() != 0 && !tc_owner_is_known(st.st_uid)) {
    return tc_file_of_another(err, path, st.st_uid,
                              "who may have put any login there; remove it, give it to this user "
                              "(chown), or give allow_foreign = true");
  }
  *seen = (tc_file_seen){(size_t)st.st_size, st.st_uid, (st.st_mode & S_IWOTH) != 0};
  if (seen->len > size) return TC_FILE_LARGER;
  count = read_all(fd, room, size, seen->len);
  if (count < 0) return tc_file_error(err, path, errno);
  seen->len = (size_t)count;
  return 0;
}

int tc_file_read(const char *path, bool any_owner, char *room, size_t size, tc_file_seen *seen,
                 tc_error *err) {
  int fd;
  TC_RETRY(fd, open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (fd < 0) return errno == ENOENT ? TC_FILE_MISSING : tc_file_error(err, path, errno);
  int status = read_open(fd, path, any_owner, room, size, seen, err);
  (void)close(fd);
  return status;
}

/* Returns 0 or an error. */
static int replace(const tc_place *at, tc_str bytes, tc_error *err) {
  tc_tempfile temp;
  int number = tc_tempfile_open(&temp, at->dir, at->name, at->owner);
  if (number != 0) return tc_place_not_begun(err, at, number);
  number = tc_tempfile_write(&temp, bytes);
  if (number == 0) number = tc_tempfile_rename(&temp, at->name);
  (void)tc_tempfile_close(&temp);
  if (number == EBUSY) return tc_place_mounted(err, at->path);
  if (number == 0) number = tc_place_sync(at);
  return number != 0 ? tc_place_not_written(err, at->path, number) : 0;
}

static int write_at(tc_place *at, tc_str bytes, tc_error *err) {
  int status = tc_place_look(at, err);
  return status < 0 ? status : replace(at, bytes, err);
}

int tc_file_write(const char *path, tc_str bytes, tc_error *err) {
  tc_place at;
  if (bytes.len > TC_FILE_LIMIT) return tc_file_too_large(err, path);
  int number = tc_place_open(&at, path);
  if (number != 0) return tc_place_not_opened(err, path, number);
  int status = write_at(&at, bytes, err);
  tc_place_close(&at);
  return status;
}

static int remove_at(tc_place *at, tc_error *err) {
  int status = tc_place_look(at, err);
  if (status < 0) return status;
  (void)tc_tempfile_sweep(at->dir, at->name);
  if (unlinkat(at->dir, at->name, 0) != 0 && errno != ENOENT) {
    return errno == EBUSY ? tc_place_mounted(err, at->path)
                          : tc_place_not_written(err, at->path, errno);
  }
  int number = tc_place_sync(at);
  return number != 0 ? tc_place_not_written(err, at->path, number) : 0;
}

int tc_file_remove(const char *path, tc_error *err) {
  tc_place at;
  int number = tc_place_open(&at, path);
  if (number == ENOENT) return 0;
  if (number != 0) return tc_place_not_written(err, path, number);
  int status = remove_at(&at, err);
  tc_place_close(&at);
  return status;
}
