/* Whose a file is. */
#ifndef TC_OWNER_H
#define TC_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Reports whether `uid` is this user or one who may do as this user does anyway: root, and to root
   the one who has called sudo. */
bool tc_owner_is_known(uid_t uid);

#endif
