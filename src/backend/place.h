/* The place of a file that is to be replaced or removed: its directory, held open, and its name
   there. Errors are TC_ERR_CACHE and name the path. */
#pragma once

#include <limits.h>

#include "backend/owner.h"
#include "core/error.h"

enum { TC_PLACE_EMPTY = 1 };

typedef struct tc_place {
  const char *path; /* as the caller gave it, for messages; borrowed, as is the name */
  const char *name; /* the end of the path */
  int dir;
  const tc_owner *owner; /* of what lies there; NULL: nothing */
  tc_owner found;
} tc_place;

/* Opens the directory of `path`. Returns 0 or an errno number: ENOENT if there is no directory. */
int tc_place_open(tc_place *at, const char *path);

void tc_place_close(tc_place *at);

/* Looks at what lies there. Returns 0 for a file, TC_PLACE_EMPTY, or an error for what must be
   neither replaced nor removed: a symbolic link, a directory, the name of a temporary file. */
int tc_place_look(tc_place *at, tc_error *err);

/* A rename or removal is durable once its directory is. Returns 0 or an errno number. */
int tc_place_sync(const tc_place *at);

/* Describes by an errno number why nothing can be written at `path`. */
int tc_place_not_written(tc_error *err, const char *path, int number);

/* The same where no temporary file could be made for its owner. */
int tc_place_not_begun(tc_error *err, const tc_place *at, int number);

/* The same where tc_place_open has failed. */
int tc_place_not_opened(tc_error *err, const char *path, int number);

/* Describes what is at a path and is no regular file. */
int tc_place_not_regular(tc_error *err, const char *path, unsigned mode);

/* Describes a path at which something is mounted. */
int tc_place_mounted(tc_error *err, const char *path);
