/* A client of libmemcached's, with the options of ours, and what is to be known of it. */
#pragma once

#include <libmemcached/memcached.h>

#include "backend/memcached.h"
#include "backend/memcached_memory.h"

#define TC_MEMCACHED_SHOWN 300 /* bytes of a server's name in messages */

/* What a forked child leaves behind and makes anew. */
typedef struct tc_memcached_client {
  memcached_st *st;
  memcached_result_st value, rest;
  tc_memcached_memory memory;
  int most_tries;
  size_t longest_key;
  double patience; /* seconds that libmemcached was told to wait for an attempt; -1: others */
  bool has_names;  /* of servers, which must be looked up */
  bool has_answered;
  bool busy; /* during a call: a child forked by another thread finds it in disorder */
  struct tc_memcached_client *next;
} tc_memcached_client;

/* NULL, with the reason in `err`, where there can be none. */
tc_memcached_client *tc_memcached_client_make(const tc_memcached_options *options, tc_error *err);

/* Never waits for a server. NULL is no client. */
void tc_memcached_client_free(tc_memcached_client *client);

/* Closes all connections. What is unread, and a "quit" that a server does not take, is not waited
   for. */
void tc_memcached_client_disconnect(tc_memcached_client *client);

bool tc_memcached_client_has(tc_memcached_client *client, memcached_behavior_t behavior);

/* What messages show of the server to which the key belongs. */
void tc_memcached_client_show_server(tc_memcached_client *client, tc_str key,
                                     char shown[TC_MEMCACHED_SHOWN]);

/* Reports whether the key's server is known by name and not connected. */
bool tc_memcached_client_needs_lookup(tc_memcached_client *client, tc_str key);

/* How long libmemcached waits for an answer, and for a connection. */
void tc_memcached_client_set_patience(tc_memcached_client *client, double seconds,
                                      double to_connect);
