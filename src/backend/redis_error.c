#include "backend/redis_error.h"

#include <stdio.h>

#include "core/redact.h"

static const struct {
  const char *code;
  const char *remedy;
} remedies[] = {
    {"NOAUTH", "give password="},
    {"WRONGPASS", "check username= and password="},
    {"NOPERM",
     "let this user run GET, SET, DEL, PEXPIRE, EVAL and SELECT, to list keys SCAN and TYPE, "
     "on the tokens' keys and the locks' (ACL SETUSER)"},
    {"WRONGTYPE", "another program uses this key: choose another"},
    {"OOM", "raise the server's maxmemory, or let it evict (maxmemory-policy)"},
    {"READONLY", "this is a replica: name the master"},
    {"LOADING", "the server is reading its data: try again later"},
    {"MASTERDOWN", "a replica without its master: try again later"},
    {"MISCONF", "the server cannot save to its disk: see its log"},
    {"BUSY", "a script holds the server up: try again later"},
    {"MOVED", "a node of a cluster: name it and others, cluster="},
    {"ASK", "a node of a cluster: name it and others, cluster="},
    {"CLUSTERDOWN", "some nodes of the cluster are down: try again later, or see CLUSTER INFO"},
    {"TRYAGAIN", "the cluster is moving these keys: try again later"},
    {"CROSSSLOT", "name the cluster's nodes, cluster="},
};

/* What a server says about logging in and about its databases has no code of its own. */
static const char *remedy_of(const char *code, tc_str command, tc_redis_part part) {
  bool is_login = tc_str_equal(command, TC_STR("AUTH")) || strcmp(code, "NOAUTH") == 0;
  if (part == TC_REDIS_SENTINEL && is_login) {
    return "check sentinel_username= and sentinel_password=";
  }
  if (part == TC_REDIS_NODE && (strcmp(code, "MOVED") == 0 || strcmp(code, "ASK") == 0)) {
    return "the nodes send each other round: try again later, or see CLUSTER NODES";
  }
  if (part == TC_REDIS_NODE && strcmp(code, "NOPERM") == 0) {
    return "let this user run GET, SET, DEL, PEXPIRE, EVAL, CLUSTER SLOTS and ASKING, to list keys "
           "SCAN and TYPE, on the tokens' keys and the locks' (ACL SETUSER)";
  }
  if (tc_str_equal(command, TC_STR("CLUSTER"))) {
    return "where there is no cluster, name the server, host= and port=";
  }
  for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
    if (strcmp(remedies[i].code, code) == 0) return remedies[i].remedy;
  }
  if (tc_str_equal(command, TC_STR("AUTH"))) {
    return "check username= and password=, or leave out what the server does not ask for";
  }
  return tc_str_equal(command, TC_STR("SELECT")) ? "check db=" : "see the server's log";
}

/* Codes are in capitals; whatever else comes first is no code. */
static size_t code_length(tc_str text) {
  size_t len = 0;
  while (len < text.len && text.data[len] >= 'A' && text.data[len] <= 'Z') len++;
  return len == text.len || text.data[len] == ' ' ? len : 0;
}

/* Redis quotes the words of a command it does not know, escaped and shortened. */
static tc_str without_echo(tc_str text) {
  static const char echo[] = ", with args beginning with";
  const size_t len = sizeof echo - 1;
  for (size_t i = 0; i + len <= text.len; i++) {
    if (memcmp(text.data + i, echo, len) == 0) return (tc_str){text.data, i};
  }
  return text;
}

int tc_redis_server_error(tc_error *err, const char *place, tc_str text, const tc_str *words,
                          size_t count, tc_redis_part part) {
  text = without_echo(text);
  size_t code_len = code_length(text);
  tc_error_copy_foreign(err->code, sizeof err->code, (tc_str){text.data, code_len});
  tc_error_copy_foreign(err->description, sizeof err->description, text);
  char *said = err->description + code_len;
  for (size_t i = tc_str_equal(words[0], TC_STR("AUTH")) ? 1 : 2; i < count; i++) {
    if (tc_redact(said, strlen(said), words[i])) continue;
    tc_error_clear(err);
    return tc_error_set(err, TC_ERR_NOMEM, NULL);
  }
  return tc_error_set(err, TC_ERR_CACHE, "%s: Redis answered %s; %s", place, err->description,
                      remedy_of(err->code, words[0], part));
}

static const struct {
  int number;
  const char *code;
  const char *remedy;
} failures[] = {
    {TC_ERR_CONNECT, "CONNECT", "check that the server runs, and the address"},
    {TC_ERR_INVALID, "CONNECT", "check the address"},
    {TC_ERR_NETWORK, "CLOSED", "try again later"},
    {TC_ERR_TIMEOUT, "TIMEOUT", "try again later, or raise the timeout"},
    {TC_ERR_TLS, "TLS", "check tls=, ca_file=, cert_file= and the server's certificate"},
    {TC_ERR_PROTOCOL, "PROTOCOL", ""},
};

void tc_redis_connection_error(tc_error *err, const char *place, const tc_error *cause,
                               const char *remedy) {
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
    if (failures[i].number != cause->number) continue;
    if (remedy == NULL) remedy = failures[i].remedy;
    tc_error_clear(err);
    (void)snprintf(err->code, sizeof err->code, "%s", failures[i].code);
    (void)tc_error_set(err, TC_ERR_CACHE, "%s: Redis: %s%s%s", place, cause->message,
                       remedy[0] != '\0' ? "; " : "", remedy);
    return;
  }
  *err = *cause;
}
