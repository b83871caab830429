/* To be preloaded: a slow device. Opening a file whose path has SLOW_PATH in it takes a second. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int open(const char *path, int flags, ...) {
  int (*next)(const char *, int, ...);
  *(void **)&next = dlsym(RTLD_NEXT, "open");
  const char *slow = getenv("SLOW_PATH");
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  if (slow != NULL && strstr(path, slow) != NULL) sleep(1);
  return next(path, flags, mode);
}
