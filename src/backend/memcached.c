#include "backend/memcached.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "backend/apart.h"
#include "backend/clock.h"
#include "backend/memcached_client.h"
#include "backend/memcached_error.h"
#include "backend/memcached_fork.h"
#include "backend/process.h"
#include "core/buf.h"

/* An address has this part of the time for connecting: where it does not answer, libmemcached
   should have noticed that before it is given up. */
#define CONNECTING 0.9

#define LONGEST_IN_SECONDS (60 * 60 * 24 * 30)
#define LONG_AGO (LONGEST_IN_SECONDS + 1) /* a date in 1970; the binary protocol has no -1 */

typedef tc_memcached_client client;

struct tc_memcached {
  client *client;               /* NULL: none yet, or a thread has the last one */
  pid_t pid;                    /* whose connections these are */
  tc_memcached_options options; /* its texts are those below */
  char **servers, *own_options;
  size_t longest_key;
  bool reconnected; /* in the last call */
};

static int make_client(tc_memcached *memcached, tc_error *err) {
  memcached->client = tc_memcached_client_make(&memcached->options, err);
  if (memcached->client == NULL) return err->number;
  memcached->pid = tc_process_id();
  memcached->longest_key = memcached->client->longest_key;
  return 0;
}

static int copy_options(tc_memcached *memcached, const tc_memcached_options *options) {
  tc_memcached_options *own = &memcached->options;
  *own = *options;
  own->server_count = 0;
  if (options->options != NULL) memcached->own_options = strdup(options->options);
  memcached->servers = calloc(options->server_count + 1, sizeof *memcached->servers);
  if (memcached->servers == NULL) return -1;
  own->options = memcached->own_options;
  own->servers = (const char *const *)memcached->servers;
  for (size_t i = 0; i < options->server_count; i++) {
    memcached->servers[i] = strdup(options->servers[i]);
    if (memcached->servers[i] == NULL) return -1;
    own->server_count++;
  }
  return options->options != NULL && own->options == NULL ? -1 : 0;
}

int tc_memcached_open(tc_memcached **to, const tc_memcached_options *options, tc_error *err) {
  tc_memcached *memcached = calloc(1, sizeof *memcached);
  *to = NULL;
  if (memcached == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  int failed = copy_options(memcached, options) == 0 ? make_client(memcached, err)
                                                     : tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (failed != 0) {
    tc_memcached_close(memcached);
    return failed;
  }
  *to = memcached;
  return 0;
}

/* In a forked child. What cannot be taken apart without talking on the parent's connections stays
   where it is. */
static void abandon(tc_memcached *memcached) {
  static client *abandoned;
  client *c = memcached->client;
  memcached->client = NULL;
  if (c == NULL) return;
  if (!c->busy && tc_memcached_disown(c->st)) {
    tc_memcached_client_free(c);
  } else {
    c->next = abandoned;
    abandoned = c;
  }
}

static int own(tc_memcached *memcached, tc_error *err) {
  if (memcached->client != NULL && memcached->pid == tc_process_id()) return 0;
  abandon(memcached);
  return make_client(memcached, err);
}

/* What a call is about, so that it can be tried again. */
typedef struct command {
  memcached_return_t (*send)(client *c, const struct command *cmd);
  memcached_return_t (*store)(memcached_st *st, const char *key, size_t key_len, const char *value,
                              size_t value_len, time_t expiry, uint32_t flags);
  tc_str key, value;
  double ttl;
  uint32_t flags;
  uint64_t cas;
  bool wants_cas;
} command;

/* libmemcached makes a miss of many a failure, unless a result's count says that there was one. */
static memcached_return_t fetch(client *c, memcached_result_st *into) {
  memcached_return_t status = MEMCACHED_SUCCESS;
  into->count = 1;
  (void)memcached_fetch_result(c->st, into, &status);
  return status;
}

/* What is an answer to other questions, but not to this one. */
static bool is_answer(memcached_return_t status) {
  return status != MEMCACHED_STORED && status != MEMCACHED_NOTSTORED &&
         status != MEMCACHED_DATA_EXISTS && status != MEMCACHED_DELETED &&
         status != MEMCACHED_ITEM && status != MEMCACHED_STAT;
}

static bool is_of_key(const memcached_result_st *result, tc_str key) {
  tc_str found = {memcached_result_key_value(result), memcached_result_key_length(result)};
  return tc_str_equal(found, key);
}

static memcached_return_t send_get(client *c, const command *cmd) {
  memcached_st *st = c->st;
  st->flags.support_cas = cmd->wants_cas;
  memcached_return_t status = memcached_mget(st, &cmd->key.data, &cmd->key.len, 1);
  if (status != MEMCACHED_SUCCESS) return status;
  c->value.key_length = 0;
  status = fetch(c, &c->value);
  if (status == MEMCACHED_END) return MEMCACHED_NOTFOUND;
  if (!is_answer(status)) return MEMCACHED_PROTOCOL_ERROR;
  if (status != MEMCACHED_SUCCESS) return status;
  if (!is_of_key(&c->value, cmd->key)) return MEMCACHED_PROTOCOL_ERROR;
  status = fetch(c, &c->rest); /* the answer's end */
  if (status == MEMCACHED_END) return MEMCACHED_SUCCESS;
  return status == MEMCACHED_SUCCESS || !is_answer(status) ? MEMCACHED_PROTOCOL_ERROR : status;
}

/* Memcached's exptime: 0 is for ever, up to 30 days are seconds from now, anything above is a date
   in Unix seconds. Dates end where 32 bits do: what is beyond is kept for ever. */
static time_t expiry_of(double ttl) {
  time_t now = time(NULL);
  if (ttl == TC_MEMCACHED_FOR_EVER) return 0;
  if (!(ttl > 0)) return LONG_AGO;
  ttl = ceil(ttl);
  if (ttl <= LONGEST_IN_SECONDS) return (time_t)ttl;
  return ttl > (double)INT32_MAX - (double)now ? 0 : now + (time_t)ttl;
}

static memcached_return_t send_store(client *c, const command *cmd) {
  return cmd->store(c->st, cmd->key.data, cmd->key.len, cmd->value.data, cmd->value.len,
                    expiry_of(cmd->ttl), cmd->flags);
}

static memcached_return_t send_cas(client *c, const command *cmd) {
  return memcached_cas(c->st, cmd->key.data, cmd->key.len, cmd->value.data, cmd->value.len,
                       expiry_of(cmd->ttl), cmd->flags, cmd->cas);
}

static memcached_return_t send_delete(client *c, const command *cmd) {
  return memcached_delete(c->st, cmd->key.data, cmd->key.len, 0);
}

static int number_of(memcached_return_t status) {
  switch (status) {
  case MEMCACHED_SUCCESS:
    return 0;
  case MEMCACHED_NOTFOUND:
    return TC_MEMCACHED_MISSING;
  case MEMCACHED_NOTSTORED:
  case MEMCACHED_DATA_EXISTS:
    return TC_MEMCACHED_REFUSED;
  default:
    return -1;
  }
}

/* No connection, or one that broke: nothing is left to be read. */
static bool is_lost(memcached_return_t status) {
  return status == MEMCACHED_CONNECTION_FAILURE || status == MEMCACHED_ERRNO ||
         status == MEMCACHED_WRITE_FAILURE || status == MEMCACHED_READ_FAILURE ||
         status == MEMCACHED_SERVER_MARKED_DEAD ||
         status == MEMCACHED_SERVER_TEMPORARILY_DISABLED || status == MEMCACHED_HOST_LOOKUP_FAILURE;
}

static int explain(client *c, tc_str key, memcached_return_t status, tc_error *err) {
  char shown[TC_MEMCACHED_SHOWN];
  tc_memcached_client_show_server(c, key, shown);
  return tc_memcached_explain(err, status, c->st, c->has_answered, shown);
}

static memcached_return_t send_now(client *c, const command *cmd) {
  memcached_return_t status = cmd->send(c, cmd);
  if (status == MEMCACHED_FAILURE || status == MEMCACHED_SOME_ERRORS) {
    memcached_return_t last = memcached_last_error(c->st);
    if (last != MEMCACHED_SUCCESS) status = last;
  }
  if (c->memory.exhausted) return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
  c->has_answered = c->has_answered || number_of(status) >= 0;
  /* By the binary protocol the server's lack of memory comes under the same name as our own. */
  if (status == MEMCACHED_MEMORY_ALLOCATION_FAILURE &&
      tc_memcached_client_has(c, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL))
    return MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE;
  return status;
}

/* To connect, libmemcached looks the server's name up, for as long as the C library likes, and then
   gives each address its time. So the first word to a server that is known by name, a get whose
   result nobody needs, is said in a thread of its own. */
typedef struct greeting {
  client *c;
  tc_buf key;
  memcached_return_t status;
} greeting;

static void greet(void *data) {
  greeting *it = data;
  const command get = {.send = send_get, .key = tc_buf_str(&it->key)};
  it->status = send_now(it->c, &get);
}

static void free_greeting(greeting *it) {
  tc_buf_free(&it->key);
  free(it);
}

static void drop_greeting(void *data) {
  greeting *it = data;
  tc_memcached_client_free(it->c);
  free_greeting(it);
}

static greeting *new_greeting(client *c, tc_str key) {
  greeting *made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  made->c = c;
  tc_buf_add_str(&made->key, key);
  if (!made->key.failed) return made;
  free_greeting(made);
  return NULL;
}

/* Connects to the key's server. TC_ERR_TIMEOUT: the client belongs to the thread now, and the next
   call makes another. */
static int meet(tc_memcached *memcached, tc_str key, double left, memcached_return_t *status,
                tc_error *err) {
  client *c = memcached->client;
  char shown[TC_MEMCACHED_SHOWN];
  double seconds = fmin(left, memcached->options.connect_timeout);
  tc_memcached_client_show_server(c, key, shown);
  greeting *it = new_greeting(c, key);
  if (it == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  tc_memcached_client_set_patience(c, seconds, seconds * CONNECTING);
  int number = tc_apart_do(&(tc_apart){greet, drop_greeting, it}, tc_monotonic() + seconds);
  if (number == TC_ERR_TIMEOUT) {
    memcached->client = NULL;
    return tc_memcached_late(err, shown);
  }
  *status = it->status;
  free_greeting(it);
  return number == 0 ? 0 : tc_error_set(err, number, NULL);
}

/* One attempt, within `left` seconds. 0: it came to `*status`. */
static int attempt(tc_memcached *memcached, const command *cmd, double left,
                   memcached_return_t *status, tc_error *err) {
  if (tc_memcached_client_needs_lookup(memcached->client, cmd->key)) {
    double start = tc_monotonic();
    int number = meet(memcached, cmd->key, left, status, err);
    if (number != 0 || number_of(*status) < 0) return number;
    left = fmax(left - (tc_monotonic() - start), 0);
  }
  client *c = memcached->client;
  if (left < c->patience || left > c->patience) {
    tc_memcached_client_set_patience(c, left, fmin(left, memcached->options.connect_timeout));
  }
  *status = send_now(c, cmd);
  return 0;
}

static int insist(tc_memcached *memcached, const command *cmd, tc_error *err) {
  double deadline = tc_monotonic_coarse() + memcached->options.timeout; /* early, if anything */
  double left = memcached->options.timeout;
  memcached_return_t status = MEMCACHED_FAILURE;
  for (int tries = 1;; tries++) {
    int number = attempt(memcached, cmd, left, &status, err);
    if (number != 0 || memcached->client == NULL) return number;
    number = number_of(status);
    if (number >= 0) return number;
    left = deadline - tc_monotonic();
    if (!is_lost(status) || tries >= memcached->client->most_tries || left <= 0) break;
    memcached->reconnected = true;
  }
  int number = explain(memcached->client, cmd->key, status, err);
  if (!is_lost(status) && status != MEMCACHED_E2BIG)
    tc_memcached_client_disconnect(memcached->client);
  return number;
}

static int perform(tc_memcached *memcached, const command *cmd, tc_error *err) {
  int number = own(memcached, err);
  if (number != 0 || memcached->client == NULL) return number;
  memcached->client->busy = true;
  memcached->client->memory.exhausted = false;
  memcached->reconnected = false;
  number = insist(memcached, cmd, err);
  if (memcached->client != NULL) memcached->client->busy = false;
  return number;
}

size_t tc_memcached_longest_key(const tc_memcached *memcached) {
  return memcached->longest_key;
}

bool tc_memcached_reconnected(const tc_memcached *memcached) {
  return memcached->reconnected;
}

int tc_memcached_get(tc_memcached *memcached, tc_str key, tc_str *value, uint64_t *cas,
                     tc_error *err) {
  command get = {.send = send_get, .key = key, .wants_cas = cas != NULL};
  int number = perform(memcached, &get, err);
  if (number != 0) return number;
  const memcached_result_st *result = &memcached->client->value;
  *value = (tc_str){memcached_result_value(result), memcached_result_length(result)};
  if (cas != NULL) *cas = memcached_result_cas(result);
  return 0;
}

int tc_memcached_set(tc_memcached *memcached, tc_str key, tc_str value, double ttl, tc_error *err) {
  command set = {.send = send_store,
                 .store = memcached_set,
                 .key = key,
                 .value = value,
                 .ttl = ttl,
                 .flags = memcached->options.flags};
  return perform(memcached, &set, err);
}

int tc_memcached_add(tc_memcached *memcached, tc_str key, tc_str value, double ttl, tc_error *err) {
  command add = {.send = send_store,
                 .store = memcached_add,
                 .key = key,
                 .value = value,
                 .ttl = ttl,
                 .flags = memcached->options.flags};
  return perform(memcached, &add, err);
}

int tc_memcached_cas(tc_memcached *memcached, tc_str key, tc_str value, double ttl, uint64_t cas,
                     tc_error *err) {
  command change = {.send = send_cas,
                    .key = key,
                    .value = value,
                    .ttl = ttl,
                    .flags = memcached->options.flags,
                    .cas = cas};
  return perform(memcached, &change, err);
}

int tc_memcached_delete(tc_memcached *memcached, tc_str key, tc_error *err) {
  command delete = {.send = send_delete, .key = key};
  return perform(memcached, &delete, err);
}

void tc_memcached_close(tc_memcached *memcached) {
  if (memcached == NULL) return;
  if (memcached->pid != tc_process_id()) abandon(memcached);
  tc_memcached_client_free(memcached->client);
  for (size_t i = 0; i < memcached->options.server_count; i++) free(memcached->servers[i]);
  free(memcached->servers);
  free(memcached->own_options);
  free(memcached);
}
