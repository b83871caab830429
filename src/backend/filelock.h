/* Locks that end with their holder. A lock on PATH is a flock on the file PATH.tokencache-lock
   beside it, which is made when first needed and never removed: who waits for a lock and who takes
   it must mean the same file.

   A lock on a part of a directory, of which there may be any number, is an open file description
   lock (fcntl) on one byte of the file .tokencache-lock in it. The byte's place is a hash of 62
   bits of the part's name, so no two parts share one, unless somebody has sought for such names;
   then one waits for the other.

   A second byte tells of a debt: a lock on the byte MARKS behind its own, in the same file, by the
   same descriptor. Who finds the lock taken asks who has that one.

   The locks of a process are known to all its threads and Lua states by an id, plain data. An id of
   a lock that has ended, of another process, or made up, means nothing. After a fork the parent
   alone holds its locks. Errors are TC_ERR_CACHE and name the side file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

enum {
  TC_FILELOCK_TAKEN = 1, /* and beside it: */
  TC_FILELOCK_HERE = 2,  /* by this very process */
  TC_FILELOCK_OWED = 4,  /* and kept for a debt */
};

/* Makes an id, so that a lock can be released while another thread is still trying to take it;
   0 if out of memory. Each id wants a release in the end. */
uint64_t tc_filelock_reserve(void);

/* Tries to take the lock on `path` without waiting; with a `part` that on this part of the
   directory `path`. Returns 0, or what is true of the above, or an error; unless it is 0, the id
   has come to its end. A side file of another user's is an error, unless `any_owner`. */
int tc_filelock_try(uint64_t id, const char *path, tc_str part, bool any_owner, tc_error *err);

/* Tells those who find the lock taken that it is kept for a debt, where the system can. */
void tc_filelock_keep(uint64_t id);

void tc_filelock_release(uint64_t id);

/* Reports whether this process holds that lock, and others would meet it: a lock whose side file
   somebody has removed is held no more. */
bool tc_filelock_is_held(uint64_t id);

/* Whether `name` is itself that of a side file: it must not be used for anything else. */
bool tc_filelock_is_side(const char *name);

/* Tries to lock an open file without waiting. Returns 0 or an errno number, EWOULDBLOCK if it is
   taken. */
int tc_filelock_flock(int fd);
