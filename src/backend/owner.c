#include "backend/owner.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OF_OWNER 0600
#define OF_GROUP 0060

static bool has_called_sudo(uid_t uid) {
  const char *text = getenv("SUDO_UID");
  char *end;
  if (text == NULL || *text < '0' || *text > '9') return false;
  unsigned long number = strtoul(text, &end, 10);
  return *end == '\0' && number == uid;
}

bool tc_owner_is_known(uid_t uid) {
  uid_t user = geteuid();
  return uid == user || uid == 0 || (user == 0 && has_called_sudo(uid));
}

tc_owner tc_owner_of(const struct stat *st) {
  mode_t of_group = (st->st_mode & 0007) == 0 ? st->st_mode & OF_GROUP : 0;
  return (tc_owner){.uid = st->st_uid, .gid = st->st_gid, .mode = OF_OWNER | of_group};
}

int tc_owner_give(int fd, const tc_owner *to) {
  struct stat st;
  mode_t mode = to->mode;
  if (fstat(fd, &st) != 0) return errno;
  if (geteuid() == 0 && st.st_uid != to->uid) {
    if (fchown(fd, to->uid, to->gid) != 0) return errno;
  } else if (st.st_gid != to->gid && fchown(fd, (uid_t)-1, to->gid) != 0) {
    mode &= (mode_t)~OF_GROUP; /* of a group that was not meant */
  }
  return (st.st_mode & 0777) != mode && fchmod(fd, mode) != 0 ? errno : 0;
}
