/* Memory for libmemcached 1.1, which aborts the program (assert) or follows a null pointer where it
   finds no memory for an error's text or for a record of the lost server. A reserve stands in for
   those, and `exhausted` tells that it was needed: the operation has failed. */
#pragma once

#include <libmemcached/memcached.h>
#include <stdbool.h>
#include <stddef.h>

#define TC_MEMCACHED_SMALL 2304  /* bytes; an error has 2,100 */
#define TC_MEMCACHED_LARGE 20480 /* bytes; a server's record has 18,000 */
#define TC_MEMCACHED_SMALL_COUNT 16
#define TC_MEMCACHED_LARGE_COUNT 2

typedef struct tc_memcached_memory {
  bool exhausted;
  bool small_used[TC_MEMCACHED_SMALL_COUNT];
  bool large_used[TC_MEMCACHED_LARGE_COUNT];
  _Alignas(max_align_t) char small[TC_MEMCACHED_SMALL_COUNT][TC_MEMCACHED_SMALL];
  _Alignas(max_align_t) char large[TC_MEMCACHED_LARGE_COUNT][TC_MEMCACHED_LARGE];
} tc_memcached_memory;

/* Makes `client` allocate through `memory`, which is all zeros at first and outlives the client. */
memcached_return_t tc_memcached_use_memory(memcached_st *client, tc_memcached_memory *memory);
