/* Where a symbolic link leads, for who wants to write there. */
#pragma once

#include "core/error.h"

/* Writes to `target`, of PATH_MAX bytes, the path of what `path` leads to in the end, which need
   not exist; of what is no link the path itself. Returns 0 or an error: a link of another user's is
   not followed. */
int tc_symlink_target(const char *path, char *target, tc_error *err);
