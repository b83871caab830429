#include "backend/file_error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* X(errno, what; way out): our own words, as those of strerror follow the program's locale */
#define REASONS(X)                                                                                 \
  X(EACCES, "permission denied; give this user access to it, or choose another path")              \
  X(EBUSY, "in use by the system; choose another path")                                            \
  X(EDQUOT, "the disk quota is used up; free some space, or choose another path")                  \
  X(EFBIG, "over the process's limit on file sizes; raise it (ulimit -f)")                         \
  X(EIO, "input/output error; check the disk")                                                     \
  X(EISDIR, "a directory; name a file in it instead")                                              \
  X(ELOOP, "symbolic links in a circle, or too many; name the file itself")                        \
  X(EMFILE, "the process has too many open files; close some, or raise its limit (ulimit -n)")     \
  X(ENAMETOOLONG, "the name is too long; choose a shorter path")                                   \
  X(ENFILE, "the system has too many open files; close some")                                      \
  X(ENOENT, "no such file or directory; choose another path")                                      \
  X(ENOMEM, "the system is out of memory; try again")                                              \
  X(ENOSPC, "no space left on the device; free some, or choose another path")                      \
  X(ENOTDIR, "a part of the path is not a directory; choose another path")                         \
  X(ENXIO, "a socket or a device without a driver; choose another path")                           \
  X(EOVERFLOW, "too large a file; choose another path")                                            \
  X(EPERM, "not permitted; check the file's attributes, or choose another path")                   \
  X(ENOLCK, "the file system gives no locks; choose a path on another")                            \
  X(EOPNOTSUPP, "the file system cannot do that; choose a path on another")                        \
  X(EROFS, "the file system is read-only; mount it for writing, or choose another path")           \
  X(ESTALE, "the network file system lost it; try again")

#define PATH_SHOWN 320 /* bytes; leaves room in the message for the reason */

typedef struct reason {
  int number;
  const char *name, *text;
} reason;

static reason reason_of(int number) {
  static const reason reasons[] = {
#define X(name, text) {name, #name, text},
      REASONS(X) X(EEXIST, NULL) X(EINVAL, NULL)
#undef X
  };
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (reasons[i].number == number) return reasons[i];
  }
  return (reason){.number = number};
}

int tc_file_error_text(tc_error *err, const char *path, int number, const char *text) {
  char shown[PATH_SHOWN];
  const char *name = reason_of(number).name;
  tc_error_copy_foreign(shown, sizeof shown, tc_str_of(path));
  if (name != NULL) {
    (void)snprintf(err->code, sizeof err->code, "%s", name);
  } else {
    (void)snprintf(err->code, sizeof err->code, "errno %d", number);
  }
  return tc_error_set(err, TC_ERR_CACHE, "%s: %s", shown, text);
}

int tc_file_error(tc_error *err, const char *path, int number) {
  char unknown[64];
  const char *text = reason_of(number).text;
  if (text == NULL) {
    (void)snprintf(unknown, sizeof unknown, "system error %d; choose another path", number);
    text = unknown;
  }
  return tc_file_error_text(err, path, number, text);
}

int tc_file_of_another(tc_error *err, const char *path, uid_t owner, const char *what) {
  char text[224];
  (void)snprintf(text, sizeof text, "it belongs to another user (uid %lu), %s",
                 (unsigned long)owner, what);
  return tc_file_error_text(err, path, EPERM, text);
}

int tc_file_name_too_long(tc_error *err, const char *path) {
  char text[128];
  const char *slash = strrchr(path, '/');
  if (strlen(slash != NULL ? slash + 1 : path) <= TC_FILE_NAME_MAX) {
    return tc_file_error(err, path, ENAMETOOLONG);
  }
  (void)snprintf(text, sizeof text,
                 "the name is too long, as its lock and its temporary files have longer ones; "
                 "choose one of %d bytes at most",
                 TC_FILE_NAME_MAX);
  return tc_file_error_text(err, path, ENAMETOOLONG, text);
}
