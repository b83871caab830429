/* raw PORT: token_info by plain libmemcached on one connection, nothing decoded. */
#include <libmemcached/memcached.h>
#include <string.h>

#include "../contestant.h"

static memcached_st *client;

static void work(long times) {
  for (; times > 0; times--) {
    size_t len;
    uint32_t flags;
    memcached_return_t status;
    char *value = memcached_get(client, "token_info", strlen("token_info"), &len, &flags, &status);
    if (value == NULL) {
      fprintf(stderr, "raw: no token\n");
      exit(1);
    }
    free(value);
  }
}

int main(int argc, char **argv) {
  contestant_check(argc == 2, "usage");
  client = memcached_create(NULL);
  contestant_check(client != NULL, "raw");
  memcached_behavior_set(client, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
  memcached_server_add(client, "127.0.0.1", (in_port_t)strtol(argv[1], NULL, 10));
  contestant_run(work);
  memcached_free(client);
  return 0;
}
