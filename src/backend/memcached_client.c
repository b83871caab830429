#define _GNU_SOURCE /* strcasestr; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/memcached_client.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/memcached_error.h"
#include "backend/memcached_server.h"

#define KEY_LIMIT (MEMCACHED_MAX_KEY - 1)

static uint64_t milliseconds(double seconds) {
  if (seconds >= 86400) return 86400 * 1000;
  return seconds > 0.001 ? (uint64_t)ceil(seconds * 1000) : 1; /* 0 would not wait at all */
}

void tc_memcached_client_disconnect(tc_memcached_client *c) {
  c->patience = -1;
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 0);
  memcached_quit(c->st);
}

void tc_memcached_client_free(tc_memcached_client *c) {
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

bool tc_memcached_client_has(tc_memcached_client *c, memcached_behavior_t behavior) {
  return memcached_behavior_get(c->st, behavior) != 0;
}

/* Options that would change what a call means. */
static int refuse_options(tc_memcached_client *c, const char *options, tc_error *err) {
  static const struct {
    memcached_behavior_t behavior;
    const char *name;
  } refused[] = {
      {MEMCACHED_BEHAVIOR_USE_UDP, "USE-UDP"},
      {MEMCACHED_BEHAVIOR_NOREPLY, "NOREPLY"},
      {MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, "BUFFER-REQUESTS"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (!tc_memcached_client_has(c, refused[i].behavior)) continue;
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
static void set_failure_limits(tc_memcached_client *c, const char *options) {
  memcached_st *st = c->st;
  c->most_tries = 2;
  if (tc_memcached_client_has(c, MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS)) {
    uint64_t seconds = memcached_behavior_get(st, MEMCACHED_BEHAVIOR_RETRY_TIMEOUT);
    memcached_behavior_set(st, MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, 1);
    memcached_behavior_set(st, MEMCACHED_BEHAVIOR_DEAD_TIMEOUT, seconds);
    c->most_tries += 2 * (int)memcached_server_count(st);
  } else if (!mentions(options, "--RETRY-TIMEOUT")) {
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

static int add_servers(memcached_st *st, const tc_memcached_options *options, tc_error *err) {
  int failed = 0;
  for (size_t i = 0; failed == 0 && i < options->server_count; i++) {
    failed = add_server(st, options->servers[i], err);
  }
  if (failed == 0 && memcached_server_count(st) == 0) {
    failed = tc_error_set(err, TC_ERR_INVALID, "servers: there is none; name one");
  }
  return failed;
}

static bool is_name(const char *host) {
  unsigned char address[sizeof(struct in6_addr)];
  return host[0] != '/' && inet_pton(AF_INET, host, address) != 1 &&
         inet_pton(AF_INET6, host, address) != 1;
}

static memcached_return_t look_at_name(const memcached_st *st, const memcached_instance_st *server,
                                       void *has_names) {
  (void)st;
  if (is_name(memcached_server_name(server))) *(bool *)has_names = true;
  return MEMCACHED_SUCCESS;
}

/* memcached("") would read the environment. */
static memcached_st *new_st(const char *options) {
  bool none = options == NULL || options[0] == '\0';
  return none ? memcached_create(NULL) : memcached(options, strlen(options));
}

/* The options may put a prefix before all keys. */
static size_t longest_key(const tc_memcached_client *c) {
  const char *prefix = memcached_callback_get(c->st, MEMCACHED_CALLBACK_PREFIX_KEY, NULL);
  return KEY_LIMIT - (prefix != NULL ? strlen(prefix) : 0);
}

static int set_up(tc_memcached_client *c, const tc_memcached_options *options, tc_error *err) {
  memcached_server_fn each[] = {look_at_name};
  (void)memcached_result_create(c->st, &c->value);
  (void)memcached_result_create(c->st, &c->rest);
  (void)tc_memcached_use_memory(c->st, &c->memory);
  memcached_return_t status = set_defaults(c->st, options->options);
  int failed = status == MEMCACHED_SUCCESS ? 0 : tc_memcached_error(err, status, "memcached");
  if (failed == 0) failed = refuse_options(c, options->options, err);
  if (failed == 0) failed = add_servers(c->st, options, err);
  if (c->memory.exhausted) failed = tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (failed != 0) return failed;
  set_failure_limits(c, options->options);
  (void)memcached_server_cursor(c->st, each, &c->has_names, 1);
  c->longest_key = longest_key(c);
  return 0;
}

tc_memcached_client *tc_memcached_client_make(const tc_memcached_options *options, tc_error *err) {
  tc_memcached_client *c = calloc(1, sizeof *c);
  if (c == NULL) {
    (void)tc_error_set(err, TC_ERR_NOMEM, NULL);
    return NULL;
  }
  c->patience = -1;
  c->st = new_st(options->options);
  if (c->st == NULL) {
    free(c);
    (void)tc_memcached_options_error(err, options->options);
    return NULL;
  }
  if (set_up(c, options, err) != 0) {
    tc_memcached_client_free(c);
    return NULL;
  }
  return c;
}

static const memcached_instance_st *server_of(tc_memcached_client *c, tc_str key) {
  memcached_return_t unused;
  return memcached_server_by_key(c->st, key.data, key.len, &unused);
}

void tc_memcached_client_show_server(tc_memcached_client *c, tc_str key,
                                     char shown[TC_MEMCACHED_SHOWN]) {
  const memcached_instance_st *server = server_of(c, key);
  if (server == NULL) {
    (void)snprintf(shown, TC_MEMCACHED_SHOWN, "memcached");
  } else {
    tc_memcached_server_show(shown, TC_MEMCACHED_SHOWN, memcached_server_name(server),
                             memcached_server_port(server));
  }
}

bool tc_memcached_client_needs_lookup(tc_memcached_client *c, tc_str key) {
  if (!c->has_names) return false;
  const memcached_instance_st *server = server_of(c, key);
  return server != NULL && memcached_server_srcport(server) == 0 &&
         is_name(memcached_server_name(server));
}

void tc_memcached_client_set_patience(tc_memcached_client *c, double seconds, double to_connect) {
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, milliseconds(seconds));
  memcached_behavior_set(c->st, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, milliseconds(to_connect));
  c->patience = seconds;
}
