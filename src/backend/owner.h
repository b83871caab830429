/* Whose a file is, and for whom it is. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

typedef struct tc_owner {
  uid_t uid;
  gid_t gid;
  mode_t mode; /* of the owner and of the group; others have no rights */
} tc_owner;

/* Reports whether `uid` is this user or one who may do as this user does anyway: root, and to root
   the one who has called sudo. */
bool tc_owner_is_known(uid_t uid);

/* Returns what a file in place of this one is to have. A right of the group's is kept where others
   have none: else it comes from a umask, and nobody has meant it. */
tc_owner tc_owner_of(const struct stat *st);

/* Gives an open file of this user's to the owner, which only root can do, and to the group, as far
   as this user can. Returns 0 or an errno number. */
int tc_owner_give(int fd, const tc_owner *to);
