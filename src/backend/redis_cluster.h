/* What is known of a Redis Cluster, without I/O: its nodes, and which of them serves which slot. */
#pragma once

#include <stdint.h>

#include "backend/redis_codec.h"

#define TC_REDIS_SLOTS 16384
#define TC_REDIS_HOST_SIZE 256

typedef struct tc_redis_node {
  char host[TC_REDIS_HOST_SIZE];
  int port;
  unsigned generation; /* connections of an earlier one are not to be used */
} tc_redis_node;

typedef struct tc_redis_cluster { /* all zeros: nothing is known */
  tc_redis_node *nodes;
  size_t count, room;
  uint16_t *slots; /* a node's index and 1; 0: nobody's */
} tc_redis_cluster;

/* The slot of a key: that of its hash tag, where it has one. */
unsigned tc_redis_slot(tc_str key);

/* The node that serves the slot; NULL: none that is known. */
tc_redis_node *tc_redis_cluster_serving(const tc_redis_cluster *cluster, unsigned slot);

/* NULL: there is no such node. */
tc_redis_node *tc_redis_cluster_find(const tc_redis_cluster *cluster, tc_str host, int port);

/* The node at this address, which is added with this generation where it is new. */
int tc_redis_cluster_add(tc_redis_cluster *cluster, tc_str host, int port, unsigned generation,
                         tc_redis_node **node, tc_error *err);

/* From now on this node serves the slot. */
void tc_redis_cluster_move(tc_redis_cluster *cluster, unsigned slot, const tc_redis_node *node);

/* Replaces all that is known by what a node at `host` replied to CLUSTER SLOTS. A new node has the
   `generation`; others keep theirs. */
int tc_redis_cluster_learn(tc_redis_cluster *cluster, const tc_redis_reply *reply, tc_str host,
                           unsigned generation, tc_error *err);

/* Appends the nodes that have slots, as "host:port", each with a blank behind it. */
void tc_redis_cluster_masters(const tc_redis_cluster *cluster, tc_buf *out);

/* Whether a server's text may be a name or an address. */
bool tc_redis_is_host(tc_str host);

/* Reads "host:port" from the end of a text; no host means `asked`. False: it is no such thing. */
bool tc_redis_read_address(tc_str text, tc_str asked, tc_str *host, int *port);

void tc_redis_cluster_free(tc_redis_cluster *cluster);
