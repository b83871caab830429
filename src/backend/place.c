#include "backend/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/filelock.h"
#include "backend/retry.h"
#include "backend/tempfile.h"

int tc_place_open(tc_place *at, const char *path) {
  const char *slash = strrchr(path, '/');
  char dir[PATH_MAX] = ".";
  at->path = path;
  at->name = slash != NULL ? slash + 1 : path;
  at->dir = -1;
  at->owner = NULL;
  if (slash != NULL) {
    size_t len = (size_t)(slash - path) + 1;
    if (len >= sizeof dir) return ENAMETOOLONG;
    memcpy(dir, path, len);
    dir[len] = '\0';
  }
  if (at->name[0] == '\0') return slash != NULL ? EISDIR : ENOENT;
  TC_RETRY(at->dir, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return at->dir < 0 ? errno : 0;
}

void tc_place_close(tc_place *at) {
  (void)close(at->dir);
}

int tc_place_not_regular(tc_error *err, const char *path, unsigned mode) {
  if (S_ISDIR(mode)) return tc_file_error(err, path, EISDIR);
  if (S_ISLNK(mode)) {
    return tc_file_error_text(err, path, ELOOP,
                              "a symbolic link, and those are not written through; name the file "
                              "itself, remove the link, or give cache.file follow_symlink = true");
  }
  return tc_file_error_text(err, path, EINVAL, "not a regular file; choose another path");
}

int tc_place_look(tc_place *at, tc_error *err) {
  struct stat named, led_to;
  if (tc_tempfile_is_slot(at->name) || tc_filelock_is_side(at->name)) {
    return tc_file_error_text(err, at->path, EINVAL,
                              "that name is for temporary files and locks; choose another path");
  }
  if (fstatat(at->dir, at->name, &named, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? TC_PLACE_EMPTY : tc_file_error(err, at->path, errno);
  }
  if (S_ISLNK(named.st_mode) && fstatat(at->dir, at->name, &led_to, 0) != 0 && errno == ENOENT) {
    return tc_file_error_text(err, at->path, ELOOP,
                              "a symbolic link to what does not exist, and links are not written "
                              "through; name the file itself, remove the link, or give cache.file "
                              "follow_symlink = true");
  }
  at->found = tc_owner_of(&named);
  at->owner = &at->found;
  return S_ISREG(named.st_mode) ? 0 : tc_place_not_regular(err, at->path, named.st_mode);
}

/* Some file systems cannot sync a directory, and say so by one of two numbers. */
int tc_place_sync(const tc_place *at) {
  int failed;
  TC_RETRY(failed, fsync(at->dir));
  return failed && errno != EINVAL && errno != EOPNOTSUPP ? errno : 0;
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

int tc_place_not_opened(tc_error *err, const char *path, int number) {
  return number == ENOENT ? no_directory(err, path) : tc_place_not_written(err, path, number);
}

int tc_place_not_written(tc_error *err, const char *path, int number) {
  switch (number) {
  case EACCES:
    return tc_file_error_text(err, path, number,
                              "permission denied in its directory; give this user write access "
                              "there, or choose another path");
  case EBUSY:
    return tc_file_error_text(err, path, number,
                              "too many writers at once; try again, or remove the files "
                              "*.tokencache-tmp* beside it if there are none");
  case EPERM:
    return tc_file_error_text(err, path, number,
                              "not permitted: the file is another user's, in a directory in which "
                              "each has his own, or an attribute forbids it (lsattr); choose "
                              "another path");
  case EEXIST:
    return tc_file_error_text(err, path, number,
                              "the names of its temporary files, *.tokencache-tmp0 to 7 beside it, "
                              "are taken by what this user cannot remove; remove that, or choose a "
                              "directory where nobody else can write");
  case EOPNOTSUPP:
    return tc_file_error_text(err, path, number,
                              "the file system cannot tell when a file is safely on the disk "
                              "(fsync); choose a path on another");
  case ENAMETOOLONG:
    return tc_file_name_too_long(err, path);
  default:
    return tc_file_error(err, path, number);
  }
}

int tc_place_not_begun(tc_error *err, const tc_place *at, int number) {
  char text[160];
  if ((number != EPERM && number != EINVAL) || at->owner == NULL || at->owner->uid == geteuid()) {
    return tc_place_not_written(err, at->path, number);
  }
  (void)snprintf(text, sizeof text,
                 "not permitted: the file is another user's (uid %lu), and this root may not give "
                 "files away; run as that user",
                 (unsigned long)at->owner->uid);
  return tc_file_error_text(err, at->path, number, text);
}

int tc_place_mounted(tc_error *err, const char *path) {
  return tc_file_error_text(err, path, EBUSY,
                            "a mount point, which cannot be replaced; mount the directory that "
                            "the file is in, or choose another path");
}
