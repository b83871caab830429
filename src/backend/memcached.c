#define _GNU_SOURCE /* strcasestr; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/memcached.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/clock.h"
#include "backend/memcached_error.h"
#include "backend/memcached_expiry.h"
#include "backend/memcached_fork.h"
#include "backend/memcached_memory.h"
#include "backend/memcached_server.h"
#include "backend/process.h"

#define KEY_LIMIT (MEMCACHED_MAX_KEY - 1)
#define SERVER_SHOWN 300 /* bytes of a server's name in messages */

/* What a forked child leaves behind and makes anew. */
typedef struct client {
  memcached_st *st;
  memcached_result_st value, rest;
  tc_memcached_memory memory;
  double patience; /* seconds that libmemcached was told to wait for an attempt; -1: others */
  bool busy;       /* during a call: a child forked by another thread finds it in disorder */
  struct client *next;
} client;

struct tc_memcached {
  client *client;
  pid_t pid; /* whose connections these are */
  char **servers;
  size_t server_count;
  char *options; /* NULL: none */
  double timeout, connect_timeout;
  int most_tries;
  size_t longest_key;
  bool reconnected; /* in the last call */
};

static uint64_t milliseconds(double seconds) {
  if (seconds >= 86400) return 86400 * 1000;
  return seconds > 0.001 ? (uint64_t)ceil(seconds * 1000) : 1; /* 0 would not wait at all */
}

/* Whatever is unread, and a "quit" that a server does not take, is not waited for. */
static void disconnect(client *c) {
  c->patience = -1;
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 0);
  memcached_quit(c->st);
}

static void free_client(client *c) {
  if (c == NULL) return;
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 0);
  memcached_result_free(&c->value);
  memcached_result_free(&c->rest);
  memcached_free(c->st);
  free(c);
}

static bool mentions(const char *options, const char *name) {
  return options != NULL && strcasestr(options, name) != NULL;
}

/* Without another wish in the options: the distribution that other clients call ketama. */
static memcached_return_t set_defaults(memcached_st *st, const char *options) {
  memcached_return_t status = MEMCACHED_SUCCESS;
#define SET(behavior)                                                                              \
  if (status == MEMCACHED_SUCCESS)                                                                 \
  status = memcached_behavior_set(st, MEMCACHED_BEHAVIOR_##behavior, 1)
  if (!mentions(options, "--DISTRIBUTION")) SET(KETAMA);
  if (!mentions(options, "--DISTRIBUTION") && !mentions(options, "--HASH=")) SET(KETAMA_WEIGHTED);
  SET(TCP_NODELAY);
  SET(TCP_KEEPALIVE);
  return status;
}

static bool is_set(client *c, memcached_behavior_t behavior) {
  return memcached_behavior_get(c->st, behavior) != 0;
}

/* Options that would change what a call means. */
static int refuse_options(client *c, const char *options, tc_error *err) {
  static const struct {
    memcached_behavior_t behavior;
    const char *name;
  } refused[] = {
      {MEMCACHED_BEHAVIOR_USE_UDP, "USE-UDP"},
      {MEMCACHED_BEHAVIOR_NOREPLY, "NOREPLY"},
      {MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, "BUFFER-REQUESTS"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (!is_set(c, refused[i].behavior)) continue;
    return tc_error_set(err, TC_ERR_INVALID,
                        "options: --%s is not for a cache, which must know what it holds; "
                        "take it out",
                        refused[i].name);
  }
  if (mentions(options, "--POLL-TIMEOUT") || mentions(options, "--CONNECT-TIMEOUT")) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "options: give timeout= and connect_timeout=, in seconds, instead of "
                        "--POLL-TIMEOUT and --CONNECT-TIMEOUT");
  }
  return 0;
}

/* A lost server is asked again at once, unless its keys are to move: then for some seconds it is
   not (libmemcached's RETRY-TIMEOUT), and one failure is enough. */
static void set_failure_limits(tc_memcached *memcached, client *c) {
  memcached_st *st = c->st;
  memcached->most_tries = 2;
  if (is_set(c, MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS)) {
    uint64_t seconds = memcached_behavior_get(st, MEMCACHED_BEHAVIOR_RETRY_TIMEOUT);
    memcached_behavior_set(st, MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, 1);
    memcached_behavior_set(st, MEMCACHED_BEHAVIOR_DEAD_TIMEOUT, seconds);
    memcached->most_tries += 2 * (int)memcached_server_count(st);
  } else if (!mentions(memcached->options, "--RETRY-TIMEOUT")) {
    memcached_behavior_set(st, MEMCACHED_BEHAVIOR_SERVER_TIMEOUT_LIMIT, UINT32_MAX);
  }
}

static int add_server(memcached_st *st, const char *text, tc_error *err) {
  tc_memcached_server server;
  memcached_return_t status;
  int failed = tc_memcached_server_parse(text, &server, err);
  if (failed != 0) return failed;
  status = server.port == 0 ? memcached_server_add_unix_socket(st, server.host)
                            : memcached_server_add(st, server.host, server.port);
  if (status == MEMCACHED_SUCCESS) return 0;
  return tc_error_set(err, TC_ERR_INVALID, "servers: libmemcached does not take %s", text);
}

static int add_servers(tc_memcached *memcached, memcached_st *st, tc_error *err) {
  int failed = 0;
  for (size_t i = 0; failed == 0 && i < memcached->server_count; i++) {
    failed = add_server(st, memcached->servers[i], err);
  }
  if (failed == 0 && memcached_server_count(st) == 0) {
    failed = tc_error_set(err, TC_ERR_INVALID, "servers: there is none; name one");
  }
  return failed;
}

/* memcached("") would read the environment. */
static memcached_st *new_st(const char *options) {
  bool none = options == NULL || options[0] == '\0';
  return none ? memcached_create(NULL) : memcached(options, strlen(options));
}

static int set_up(tc_memcached *memcached, client *c, tc_error *err) {
  (void)memcached_result_create(c->st, &c->value);
  (void)memcached_result_create(c->st, &c->rest);
  (void)tc_memcached_use_memory(c->st, &c->memory);
  memcached_return_t status = set_defaults(c->st, memcached->options);
  int failed = status == MEMCACHED_SUCCESS ? 0 : tc_memcached_error(err, status, "memcached");
  if (failed == 0) failed = refuse_options(c, memcached->options, err);
  if (failed == 0) failed = add_servers(memcached, c->st, err);
  if (c->memory.exhausted) failed = tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (failed == 0) set_failure_limits(memcached, c);
  return failed;
}

/* The options may put a prefix before all keys. */
static size_t longest_key(const client *c) {
  const char *prefix = memcached_callback_get(c->st, MEMCACHED_CALLBACK_PREFIX_KEY, NULL);
  return KEY_LIMIT - (prefix != NULL ? strlen(prefix) : 0);
}

static int make_client(tc_memcached *memcached, tc_error *err) {
  client *c = calloc(1, sizeof *c);
  if (c == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  c->patience = -1;
  c->st = new_st(memcached->options);
  if (c->st == NULL) {
    free(c);
    return tc_memcached_options_error(err, memcached->options);
  }
  int failed = set_up(memcached, c, err);
  if (failed != 0) {
    free_client(c);
    return failed;
  }
  memcached->client = c;
  memcached->pid = tc_process_id();
  memcached->longest_key = longest_key(c);
  return 0;
}

static int copy_options(tc_memcached *memcached, const tc_memcached_options *options) {
  memcached->timeout = options->timeout;
  memcached->connect_timeout = options->connect_timeout;
  if (options->options != NULL) memcached->options = strdup(options->options);
  memcached->servers = calloc(options->server_count + 1, sizeof *memcached->servers);
  if (memcached->servers == NULL) return -1;
  for (size_t i = 0; i < options->server_count; i++) {
    memcached->servers[i] = strdup(options->servers[i]);
    if (memcached->servers[i] == NULL) return -1;
    memcached->server_count++;
  }
  return options->options != NULL && memcached->options == NULL ? -1 : 0;
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
    free_client(c);
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
  tc_str key, value;
  double ttl;
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

static memcached_return_t send_set(client *c, const command *cmd) {
  return memcached_set(c->st, cmd->key.data, cmd->key.len, cmd->value.data, cmd->value.len,
                       tc_memcached_expiry(cmd->ttl, time(NULL)), 0);
}

static memcached_return_t send_add(client *c, const command *cmd) {
  return memcached_add(c->st, cmd->key.data, cmd->key.len, cmd->value.data, cmd->value.len,
                       tc_memcached_expiry(cmd->ttl, time(NULL)), 0);
}

static memcached_return_t send_cas(client *c, const command *cmd) {
  return memcached_cas(c->st, cmd->key.data, cmd->key.len, cmd->value.data, cmd->value.len,
                       tc_memcached_expiry(cmd->ttl, time(NULL)), 0, cmd->cas);
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
  char shown[SERVER_SHOWN];
  memcached_return_t unused;
  const memcached_instance_st *server = memcached_server_by_key(c->st, key.data, key.len, &unused);
  if (server == NULL) {
    (void)snprintf(shown, sizeof shown, "memcached");
  } else {
    tc_memcached_server_show(shown, sizeof shown, memcached_server_name(server),
                             memcached_server_port(server));
  }
  return tc_memcached_error(err, status, shown);
}

static void set_patience(client *c, double left, double connect_timeout) {
  double to_connect = fmin(left, connect_timeout);
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, milliseconds(left));
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, milliseconds(to_connect));
  c->patience = left;
}

/* One attempt; `left` is in seconds. */
static memcached_return_t attempt(tc_memcached *memcached, const command *cmd, double left) {
  client *c = memcached->client;
  memcached_st *st = c->st;
  if (left < c->patience || left > c->patience) set_patience(c, left, memcached->connect_timeout);
  memcached_return_t status = cmd->send(c, cmd);
  if (status == MEMCACHED_FAILURE || status == MEMCACHED_SOME_ERRORS) {
    memcached_return_t last = memcached_last_error(st);
    if (last != MEMCACHED_SUCCESS) status = last;
  }
  if (c->memory.exhausted) return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
  /* By the binary protocol the server's lack of memory comes under the same name as our own. */
  if (status == MEMCACHED_MEMORY_ALLOCATION_FAILURE &&
      is_set(c, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL))
    return MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE;
  return status;
}

static int perform(tc_memcached *memcached, const command *cmd, tc_error *err) {
  double deadline = tc_monotonic_coarse() + memcached->timeout; /* early, if anything */
  int number = own(memcached, err);
  client *c = memcached->client;
  if (number != 0 || c == NULL) return number;
  c->busy = true;
  c->memory.exhausted = false;
  memcached->reconnected = false;
  memcached_return_t status = attempt(memcached, cmd, memcached->timeout);
  number = number_of(status);
  for (int tries = 1; number < 0 && is_lost(status) && tries < memcached->most_tries; tries++) {
    double left = deadline - tc_monotonic();
    if (left <= 0) break;
    memcached->reconnected = true;
    status = attempt(memcached, cmd, left);
    number = number_of(status);
  }
  if (number < 0) {
    number = explain(c, cmd->key, status, err);
    if (!is_lost(status) && status != MEMCACHED_E2BIG) disconnect(c);
  }
  c->busy = false;
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
  command set = {.send = send_set, .key = key, .value = value, .ttl = ttl};
  return perform(memcached, &set, err);
}

int tc_memcached_add(tc_memcached *memcached, tc_str key, tc_str value, double ttl, tc_error *err) {
  command add = {.send = send_add, .key = key, .value = value, .ttl = ttl};
  return perform(memcached, &add, err);
}

int tc_memcached_cas(tc_memcached *memcached, tc_str key, tc_str value, double ttl, uint64_t cas,
                     tc_error *err) {
  command change = {.send = send_cas, .key = key, .value = value, .ttl = ttl, .cas = cas};
  return perform(memcached, &change, err);
}

int tc_memcached_delete(tc_memcached *memcached, tc_str key, tc_error *err) {
  command delete = {.send = send_delete, .key = key};
  return perform(memcached, &delete, err);
}

void tc_memcached_close(tc_memcached *memcached) {
  if (memcached == NULL) return;
  if (memcached->pid != tc_process_id()) abandon(memcached);
  free_client(memcached->client);
  for (size_t i = 0; i < memcached->server_count; i++) free(memcached->servers[i]);
  free(memcached->servers);
  free(memcached->options);
  free(memcached);
}
