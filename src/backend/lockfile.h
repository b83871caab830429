/* The files that locks are on: empty, made when first needed, never removed. Errors are
   TC_ERR_CACHE and name the file. */
#pragma once

#include "core/error.h"

typedef struct tc_lockfile {
  const char *side;   /* its path */
  const char *beside; /* the path of the file, or of the directory, that it is for */
  bool any_owner;     /* it may be another user's, who can hold the lock for ever */
} tc_lockfile;

/* Opens it, makes it if there is none. It is for whom the file is, if there is one, else for whom
   the directory is: what root makes must not lock the user out. Returns a descriptor or an error.
 */
int tc_lockfile_open(const tc_lockfile *file, tc_error *err);

/* Describes by an errno number why there is no lock. */
int tc_lockfile_not_locked(const tc_lockfile *file, int number, tc_error *err);
