/* Whole files, read and replaced: killed at any instant, a file holds its old content or its new
   one. New files are private (mode 0600) from their first byte, others stay their owner's and their
   group's. Readers follow symbolic links, writers refuse them. Errors are TC_ERR_CACHE and name the
   path; their code is the errno's name. */
#pragma once

#include <sys/types.h>

#include "core/error.h"

#define TC_FILE_LIMIT ((size_t)1 << 20) /* bytes; neither read nor written beyond */

enum {
  TC_FILE_MISSING = 1,
  TC_FILE_LARGER = 2,
};

typedef struct tc_file_seen {
  size_t len; /* bytes */
  uid_t owner;
  bool is_open; /* everybody may write to it */
} tc_file_seen;

/* Reads the file into the caller's `room` of `size` bytes. Returns 0; TC_FILE_MISSING; or
   TC_FILE_LARGER, with `len` the room to come back with. Waits for no writer, not even of a FIFO:
   what is not a regular file is an error. So is what another user than root has put there, unless
   `any_owner`; but root may read it. */
int tc_file_read(const char *path, bool any_owner, char *room, size_t size, tc_file_seen *seen,
                 tc_error *err);

/* Replaces the file or creates it; its directory must exist. What fails before the new content is
   whole and on the disk leaves the old one. */
int tc_file_write(const char *path, tc_str bytes, tc_error *err);

/* Removes the file and what killed writers left beside it. No file is no error. */
int tc_file_remove(const char *path, tc_error *err);

/* Reports whether tc_file_write of up to `size` bytes is to be expected to succeed: returns 0, or
   the error that it would end with. The file is not touched: a temporary one of that size is made
   beside it, its room on the disk allocated, and removed again; those that dead writers left go
   too. */
int tc_file_can_replace(const char *path, size_t size, tc_error *err);

/* Describes a file, or what was to become one, that is over the limit. */
int tc_file_too_large(tc_error *err, const char *path);
