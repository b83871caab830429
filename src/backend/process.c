#include "backend/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

typedef _Atomic pid_t kept_id; /* 0: not known yet in this process */

/* On a page that the kernel empties in every child, whichever way it was forked. Modules with this
   file in them are never unloaded, nor is the page. */
static kept_id *page;

static size_t page_size(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

static void make_page(void) {
#ifdef MADV_WIPEONFORK
  void *made = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) return;
  /* QEMU before 8.0 says yes to any advice, and follows none. */
  bool heeds_advice = madvise(made, page_size(), -1) != 0;
  if (heeds_advice && madvise(made, page_size(), MADV_WIPEONFORK) == 0) {
    page = made;
  } else {
    (void)munmap(made, page_size());
  }
#endif
}

pid_t tc_process_id(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, make_page);
  if (page == NULL) return getpid();
  pid_t id = atomic_load_explicit(page, memory_order_relaxed);
  if (id != 0) return id;
  id = getpid();
  atomic_store_explicit(page, id, memory_order_relaxed);
  return id;
}
