#include "backend/memcached_memory.h"

#include <stdlib.h>
#include <string.h>

static void *take(char *slots, bool *used, size_t count, size_t size) {
  for (size_t i = 0; i < count; i++) {
    if (used[i]) continue;
    used[i] = true;
    return slots + i * size;
  }
  return NULL;
}

static void *from_reserve(tc_memcached_memory *memory, size_t size) {
  memory->exhausted = true;
  if (size <= TC_MEMCACHED_SMALL) {
    return take(memory->small[0], memory->small_used, TC_MEMCACHED_SMALL_COUNT, TC_MEMCACHED_SMALL);
  }
  if (size <= TC_MEMCACHED_LARGE) {
    return take(memory->large[0], memory->large_used, TC_MEMCACHED_LARGE_COUNT, TC_MEMCACHED_LARGE);
  }
  return NULL;
}

/* The slot's flag, and its size; NULL for what malloc gave. */
static bool *slot_of(tc_memcached_memory *memory, const char *block, size_t *size) {
  if (block >= memory->small[0] && block < memory->small[0] + sizeof memory->small) {
    *size = TC_MEMCACHED_SMALL;
    return &memory->small_used[(size_t)(block - memory->small[0]) / TC_MEMCACHED_SMALL];
  }
  if (block >= memory->large[0] && block < memory->large[0] + sizeof memory->large) {
    *size = TC_MEMCACHED_LARGE;
    return &memory->large_used[(size_t)(block - memory->large[0]) / TC_MEMCACHED_LARGE];
  }
  return NULL;
}

static void *on_malloc(const memcached_st *client, size_t size, void *context) {
  (void)client;
  void *block = malloc(size);
  return block != NULL ? block : from_reserve(context, size);
}

static void *on_calloc(const memcached_st *client, size_t count, size_t size, void *context) {
  (void)client;
  void *block = calloc(count, size);
  if (block == NULL && size > 0 && count <= TC_MEMCACHED_LARGE / size) {
    block = from_reserve(context, count * size);
    if (block != NULL) memset(block, 0, count * size);
  }
  return block;
}

static void on_free(const memcached_st *client, void *block, void *context) {
  size_t size;
  bool *used = slot_of(context, block, &size);
  (void)client;
  if (used != NULL) {
    *used = false;
  } else {
    free(block);
  }
}

static void *on_realloc(const memcached_st *client, void *block, size_t size, void *context) {
  tc_memcached_memory *memory = context;
  size_t had = 0;
  if (slot_of(memory, block, &had) == NULL) {
    void *larger = realloc(block, size);
    if (larger == NULL) memory->exhausted = true;
    return larger;
  }
  void *larger = malloc(size);
  if (larger == NULL) {
    memory->exhausted = true;
    return NULL;
  }
  memcpy(larger, block, had < size ? had : size);
  on_free(client, block, context);
  return larger;
}

memcached_return_t tc_memcached_use_memory(memcached_st *client, tc_memcached_memory *memory) {
  return memcached_set_memory_allocators(client, on_malloc, on_free, on_realloc, on_calloc, memory);
}
