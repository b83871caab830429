/* Failed system calls on files, in words: "PATH: what; way out", with the errno's name as code. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "core/error.h"

/* Bytes of a name at most: those of locks and of temporary files are 16 longer. */
#define TC_FILE_NAME_MAX (NAME_MAX - 16)

/* Describes what happened to `path` by an errno number. */
int tc_file_error(tc_error *err, const char *path, int number);

/* The same with words of the caller's: `text` is what follows "PATH: ". */
int tc_file_error_text(tc_error *err, const char *path, int number, const char *text);

/* Describes a file that another user may misuse: `what` is what follows "another user (uid 1), ".
 */
int tc_file_of_another(tc_error *err, const char *path, uid_t owner, const char *what);

/* Describes a path whose name is longer than TC_FILE_NAME_MAX, or that is too long as a whole. */
int tc_file_name_too_long(tc_error *err, const char *path);
