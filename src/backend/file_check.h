/* Whether a file could be replaced, found out without touching it. */
#pragma once

#include "core/error.h"

/* Reports whether tc_file_write of up to `size` bytes is to be expected to succeed at `path`:
   returns 0, or the error that it would end with. A temporary file of that size is made beside the
   path, its room on the disk allocated, and removed again; those that dead writers left there go
   too. */
int tc_file_can_replace(const char *path, size_t size, tc_error *err);
