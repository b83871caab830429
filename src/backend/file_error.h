/* Failed system calls on files, in words: "PATH: what; way out", with the errno's name as code. */
#ifndef TC_FILE_ERROR_H
#define TC_FILE_ERROR_H

#include "core/error.h"

/* Describes what happened to `path` by an errno number. */
int tc_file_error(tc_error *err, const char *path, int number);

/* The same with words of the caller's: `text` is what follows "PATH: ". */
int tc_file_error_text(tc_error *err, const char *path, int number, const char *text);

#endif
