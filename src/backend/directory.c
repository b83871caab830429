#include "backend/directory.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/file_error.h"

/* Returns 0 or an errno number. */
static int add_names(DIR *dir, tc_buf *names) {
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (entry == NULL) return errno;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    tc_buf_add_text(names, entry->d_name);
    tc_buf_add_char(names, '/');
  }
}

static int not_listed(tc_error *err, const char *path, int number) {
  switch (number) {
  case ENOENT:
    return tc_file_error_text(err, path, number,
                              "the directory does not exist; create it, or mount what it is on");
  case ENOTDIR:
    return tc_file_error_text(err, path, number, "not a directory; choose another path");
  case ENOMEM:
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  default:
    return tc_file_error(err, path, number);
  }
}

int tc_directory_list(const char *path, tc_buf *names, tc_error *err) {
  DIR *dir = opendir(path);
  if (dir == NULL) return not_listed(err, path, errno);
  int number = add_names(dir, names);
  (void)closedir(dir);
  if (number != 0) return not_listed(err, path, number);
  return names->failed ? tc_error_set(err, TC_ERR_NOMEM, NULL) : 0;
}

/* Makes `real` the path of the directory that `head` is, cut where it stops to exist; `*rest` is
   what was cut off. Returns 0 or an errno number. */
static int resolve(char *head, char *real, size_t *rest) {
  *rest = strlen(head);
  while (realpath(head, real) == NULL) {
    if (errno != ENOENT && errno != ENOTDIR) return errno;
    while (*rest > 0 && head[*rest - 1] == '/') (*rest)--;
    while (*rest > 0 && head[*rest - 1] != '/') (*rest)--;
    if (*rest == 0) return realpath(".", real) == NULL ? errno : 0;
    head[*rest] = '\0';
  }
  return 0;
}

int tc_directory_real_path(const char *path, char *real) {
  char head[PATH_MAX];
  size_t len = strlen(path), rest;
  if (len >= sizeof head) return ENAMETOOLONG;
  memcpy(head, path, len + 1);
  int number = resolve(head, real, &rest);
  if (number != 0) return number;
  while (rest < len && path[len - 1] == '/') len--;
  while (rest < len && path[rest] == '/') rest++;
  if (rest == len) return 0;
  size_t used = strcmp(real, "/") == 0 ? 0 : strlen(real);
  if (used + 1 + (len - rest) >= PATH_MAX) return ENAMETOOLONG;
  (void)snprintf(real + used, PATH_MAX - used, "/%.*s", (int)(len - rest), path + rest);
  return 0;
}
