/* Directories: their names, and their own. */
#pragma once

#include "core/buf.h"
#include "core/error.h"

/* Appends the names of all that is in the directory, each followed by a "/", which no name holds.
   Each is there once, unless it comes or goes meanwhile. Errors are TC_ERR_CACHE and name the
   path. */
int tc_directory_list(const char *path, tc_buf *names, tc_error *err);

/* Writes the absolute path without symbolic links to `real`, of PATH_MAX bytes. What does not
   exist yet keeps its name, after the path of what does. Returns 0 or an errno number. */
int tc_directory_real_path(const char *path, char *real);
