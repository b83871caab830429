#include "backend/memcached_error.h"

#include <stdio.h>

#define A_MEMCACHED "check that it is a memcached, and started without -Y"

/* X(status, what; way out) */
#define REASONS(X)                                                                                 \
  X(CONNECTION_FAILURE, "no connection; check that the server runs, and the network")              \
  X(HOST_LOOKUP_FAILURE, "the host's name is not known; check servers=")                           \
  X(WRITE_FAILURE, "the connection broke; try again")                                              \
  X(READ_FAILURE, "the connection broke; try again")                                               \
  X(ERRNO, "the connection broke, or none could be made; check that the server runs")              \
  X(TIMEOUT, "no answer in time; try again later, or raise timeout=")                              \
  X(E2BIG, "the entry is larger than the server takes; raise its limit (memcached -I)")            \
  X(SERVER_MEMORY_ALLOCATION_FAILURE, "the server is out of memory; raise its limit (-m)")         \
  X(SERVER_ERROR, "the server failed; its log may tell why")                                       \
  X(CLIENT_ERROR, "the server refused the request; check that it is a memcached of 1.4 or later")  \
  X(ERROR, "the server does not know the command; check that it is a memcached")                   \
  X(UNKNOWN_READ_FAILURE, "an answer that makes no sense; " A_MEMCACHED)                           \
  X(PROTOCOL_ERROR, "an answer that makes no sense; " A_MEMCACHED)                                 \
  X(PARTIAL_READ, "an answer that makes no sense; " A_MEMCACHED)                                   \
  X(AUTH_FAILURE, "the server asks for a login, which is not supported; start it without -S")      \
  X(SERVER_MARKED_DEAD, "the server is away; check that it runs")                                  \
  X(SERVER_TEMPORARILY_DISABLED, "the server was away a moment ago; try again later")              \
  X(BAD_KEY_PROVIDED, "the key is not one that memcached takes; choose another")                   \
  X(NO_SERVERS, "there is no server to ask; check servers= and options=")

int tc_memcached_error(tc_error *err, memcached_return_t status, const char *server) {
  switch (status) {
#define X(name, text)                                                                              \
  case MEMCACHED_##name:                                                                           \
    (void)snprintf(err->code, sizeof err->code, "%s", #name);                                      \
    return tc_error_set(err, TC_ERR_CACHE, "%s: %s", server, text);
    REASONS(X)
#undef X
  case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  default:
    (void)snprintf(err->code, sizeof err->code, "libmemcached %d", (int)status);
    return tc_error_set(err, TC_ERR_CACHE, "%s: libmemcached failed (%d); try again", server,
                        (int)status);
  }
}

/* A better word for what libmemcached reports of a server that wants a login or another protocol;
   NULL: there is none. */
static const char *cause_of(memcached_return_t status, const memcached_st *st, bool has_answered) {
  if (status == MEMCACHED_CLIENT_ERROR && strstr(memcached_last_error_message(st), "authenticat")) {
    return "the server asks for a login, which is not supported; start it without -Y";
  }
  if (has_answered) return NULL;
  if (status == MEMCACHED_CONNECTION_FAILURE && memcached_last_error_errno(st) == 0) {
    /* of a get libmemcached does not tell these apart */
    return "no connection, or the server closed it; check that it runs, that it is a memcached, "
           "and started without -S or -Y";
  }
  if (status == MEMCACHED_TIMEOUT) {
    return "no answer in time; try again later, or raise timeout=; one started with -S or -Y may "
           "never answer";
  }
  return NULL;
}

int tc_memcached_explain(tc_error *err, memcached_return_t status, const memcached_st *st,
                         bool has_answered, const char *server) {
  int number = tc_memcached_error(err, status, server);
  const char *cause = cause_of(status, st, has_answered);
  return cause == NULL ? number : tc_error_set(err, number, "%s: %s", server, cause);
}

int tc_memcached_late(tc_error *err, const char *server) {
  (void)snprintf(err->code, sizeof err->code, "TIMEOUT");
  return tc_error_set(err, TC_ERR_CACHE,
                      "%s: no connection in time; check the server, the network and what looks up "
                      "its name, or raise connect_timeout=",
                      server);
}

/* libmemcached's message stands between "(0x...) " and " -> FILE:LINE". */
static tc_str bare(const char *message) {
  const char *blank = strchr(message, ' ');
  tc_str text = tc_str_of(message[0] == '(' && blank != NULL ? blank + 1 : message);
  for (size_t i = 0; i + 4 <= text.len; i++) {
    if (memcmp(text.data + i, " -> ", 4) == 0) text.len = i;
  }
  return text;
}

int tc_memcached_options_error(tc_error *err, const char *options) {
  char message[400] = "", shown[160], given[160];
  bool none = options == NULL || options[0] == '\0';
  if (none || libmemcached_check_configuration(options, strlen(options), message, sizeof message) ==
                  MEMCACHED_SUCCESS) {
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  tc_error_copy_foreign(given, sizeof given, tc_str_of(options));
  tc_error_copy_foreign(shown, sizeof shown, bare(message));
  return tc_error_set(err, TC_ERR_INVALID,
                      "options: libmemcached does not take \"%s\" (%s); see "
                      "libmemcached_configuration(3)",
                      given, shown);
}
