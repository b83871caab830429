/* malloc and its family, counted for the whole process, Lua's own allocations among them; any of
   them can be told to fail. */
#ifndef TC_COUNTED_H
#define TC_COUNTED_H

#include <stdbool.h>
#include <stddef.h>

typedef struct counted {
  long live;    /* blocks not freed yet */
  long seen;    /* allocations since counted_arm */
  long first;   /* the number of the first one that got no memory, counted from 1; */
  long refused; /* and how many did */
} counted;

extern counted allocations;

/* From the `first` allocation after now, counted from 1, `run` of them get no memory. */
void counted_arm(long first, long run);
void counted_disarm(void);

/* Where `choose` is there, it is asked from the `first` allocation on whether that is the one to
   begin with. NULL: it is. */
void counted_choose(bool (*choose)(void));

/* In between, allocations succeed and do not count; does nothing unless armed. */
void counted_pause(void);
void counted_resume(void);

/* A lua_Alloc. Lua expects that shrinking a block never fails. */
void *counted_lua_alloc(void *unused, void *block, size_t old_size, size_t new_size);

#endif
