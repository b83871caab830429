/* Mount points: a file on which another is mounted (`docker run -v token:/token`) can be read and
   written, but neither replaced nor removed. */
#pragma once

#include <stdbool.h>

/* Reports whether something is mounted at `name` in the open directory `dir`; false also where
   neither the kernel nor /proc tells. */
bool tc_mount_is_at(int dir, const char *name);

/* Reports whether /proc's list of mounts has `path`, an absolute one without symbolic links: what
   is asked where the kernel is older than 5.8. */
bool tc_mount_is_listed(const char *path);
