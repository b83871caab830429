/* malloc and its family, counted for the whole process, Lua's own allocations among them; any of
   them can be told to fail. */
#ifndef TC_COUNTED_H
#define TC_COUNTED_H

#include <stddef.h>

typedef struct counted {
  long live;    /* blocks not freed yet */
  long seen;    /* allocations since counted_arm */
  long refused; /* how many of those got no memory */
} counted;

extern counted allocations;

/* From the `first` allocation after now, counted from 1, `run` of them get no memory. */
void counted_arm(long first, long run);
void counted_disarm(void);

/* In between, allocations succeed and do not count; does nothing unless armed. */
/* Calls `asked` before each allocation, as its number is known; NULL ends it. */
void counted_watch(void (*asked)(long number));
void counted_pause(void);
void counted_resume(void);

/* A lua_Alloc. Lua expects that shrinking a block never fails. */
void *counted_lua_alloc(void *unused, void *block, size_t old_size, size_t new_size);

#endif
