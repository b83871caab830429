/* Temporary files that become the real one by a rename, and that a killed writer cannot pile up.

   A file NAME has a few slots beside it, NAME.tokencache-tmp0 and up. A writer creates the first
   free one and holds a flock on it as long as it bears that name. The system drops the lock of a
   dead writer: a slot that can be locked is abandoned, and whoever locks it removes it. So the
   temporary file of a living writer is never touched, and those of dead ones go with the next
   write, check or removal of NAME. A process id in the name would not do: the writers may be in
   several containers, each of which counts processes for itself, and ids are used again. */
#pragma once

#include <limits.h>

#include <stdbool.h>

#include "backend/owner.h"
#include "core/str.h"

typedef struct tc_tempfile {
  int dir; /* the directory's descriptor; borrowed */
  int fd;
  char name[NAME_MAX + 1]; /* of the slot */
} tc_tempfile;

/* These return 0 or an errno number. */

/* Creates a slot of `name` in `dir`, empty, for that owner; without one this user's, mode 0600
   whatever the umask. While living writers hold all slots it waits for one; EBUSY after some
   seconds. EEXIST where all slots are taken by what this user cannot remove. */
int tc_tempfile_open(tc_tempfile *temp, int dir, const char *name, const tc_owner *owner);

int tc_tempfile_write(tc_tempfile *temp, tc_str bytes);

/* Has the disk set `size` bytes aside for a file that is empty, and shows that what is written can
   be made durable: EOPNOTSUPP where the file system cannot do that. */
int tc_tempfile_reserve(tc_tempfile *temp, size_t size);

/* Makes what was written durable and gives it the name `name`, replacing what bore it. */
int tc_tempfile_rename(tc_tempfile *temp, const char *name);

/* Closes; a slot that was not renamed is removed. */
int tc_tempfile_close(tc_tempfile *temp);

/* Removes the slots of `name` that dead writers left. Reports whether a slot is free, or becomes so
   by itself. */
bool tc_tempfile_sweep(int dir, const char *name);

/* Whether `name` is itself that of a slot: it must not be used for anything else. */
bool tc_tempfile_is_slot(const char *name);
