#include "backend/symlink.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_error.h"
#include "backend/owner.h"

#define LONGEST_CHAIN 40 /* links, as Linux has it */

static int check_owner(const char *link, tc_error *err) {
  struct stat st;
  char text[128];
  if (lstat(link, &st) != 0) return tc_file_error(err, link, errno);
  if (tc_owner_is_known(st.st_uid)) return 0;
  (void)snprintf(
      text, sizeof text,
      "a symbolic link of another user's (uid %lu), which is not followed; remove it, or "
      "name the file itself",
      (unsigned long)st.st_uid);
  return tc_file_error_text(err, link, EPERM, text);
}

/* Makes `path` what the link there says. Returns 0 or an errno number. */
static int follow(char *path, const char *said) {
  const char *slash = said[0] == '/' ? NULL : strrchr(path, '/');
  size_t kept = slash != NULL ? (size_t)(slash - path) + 1 : 0, len = strlen(said);
  if (kept + len >= PATH_MAX) return ENAMETOOLONG;
  memcpy(path + kept, said, len + 1);
  return 0;
}

int tc_symlink_target(const char *path, char *target, tc_error *err) {
  char said[PATH_MAX];
  if (strlen(path) >= PATH_MAX) return tc_file_error(err, path, ENAMETOOLONG);
  memcpy(target, path, strlen(path) + 1);
  for (int i = 0; i <= LONGEST_CHAIN; i++) {
    ssize_t len = readlink(target, said, sizeof said - 1);
    if (len < 0) return 0; /* no link; what else is wrong there, its use will tell */
    said[len] = '\0';
    int status = check_owner(target, err);
    if (status < 0) return status;
    int number = follow(target, said);
    if (number != 0) return tc_file_error(err, path, number);
  }
  return tc_file_error(err, path, ELOOP);
}
