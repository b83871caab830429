/* Preloaded in the ASan run: a module that stays mapped keeps its names in the leak report. */
#include <dlfcn.h>

int dlclose(void *handle) {
  (void)handle;
  return 0;
}
