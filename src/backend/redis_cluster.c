#include "backend/redis_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_NODES 4096 /* more than any cluster has */

/* --- slots ----------------------------------------------------------------------------------- */

/* CRC-16/XMODEM, four bits at a time. */
static unsigned crc16(tc_str text) {
  static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                     0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                     0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
  unsigned crc = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned byte = (unsigned char)text.data[i];
    crc = (crc << 4 ^ table[(crc >> 12 ^ byte >> 4) & 15]) & 0xffff;
    crc = (crc << 4 ^ table[(crc >> 12 ^ byte) & 15]) & 0xffff;
  }
  return crc;
}

unsigned tc_redis_slot(tc_str key) {
  const char *open = key.len > 0 ? memchr(key.data, '{', key.len) : NULL;
  if (open != NULL) {
    tc_str tag = {open + 1, key.len - (size_t)(open + 1 - key.data)};
    const char *close = tag.len > 0 ? memchr(tag.data, '}', tag.len) : NULL;
    if (close != NULL && close != tag.data) {
      tag.len = (size_t)(close - tag.data);
      key = tag;
    }
  }
  return crc16(key) % TC_REDIS_SLOTS;
}

static int makes_no_sense(tc_error *err) {
  memcpy(err->code, TC_REDIS_CODE_PROTOCOL, sizeof TC_REDIS_CODE_PROTOCOL);
  return tc_error_set(err, TC_ERR_PROTOCOL, "a list of slots that makes no sense");
}

/* --- nodes ----------------------------------------------------------------------------------- */

tc_redis_node *tc_redis_cluster_serving(const tc_redis_cluster *cluster, unsigned slot) {
  unsigned which = cluster->slots != NULL ? cluster->slots[slot] : 0;
  return which > 0 ? &cluster->nodes[which - 1] : NULL;
}

tc_redis_node *tc_redis_cluster_find(const tc_redis_cluster *cluster, tc_str host, int port) {
  for (size_t i = 0; i < cluster->count; i++) {
    tc_redis_node *node = &cluster->nodes[i];
    if (node->port == port && tc_str_equal(host, tc_str_of(node->host))) return node;
  }
  return NULL;
}

int tc_redis_cluster_add(tc_redis_cluster *cluster, tc_str host, int port, unsigned generation,
                         tc_redis_node **node, tc_error *err) {
  *node = tc_redis_cluster_find(cluster, host, port);
  if (*node != NULL) return 0;
  if (cluster->count == cluster->room) {
    size_t room = cluster->room > 0 ? 2 * cluster->room : 8;
    if (room > MOST_NODES) return makes_no_sense(err);
    tc_redis_node *nodes = realloc(cluster->nodes, room * sizeof *nodes);
    if (nodes == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
    cluster->nodes = nodes;
    cluster->room = room;
  }
  *node = &cluster->nodes[cluster->count++];
  memcpy((*node)->host, host.data, host.len);
  (*node)->host[host.len] = '\0';
  (*node)->port = port;
  (*node)->generation = generation;
  return 0;
}

void tc_redis_cluster_move(tc_redis_cluster *cluster, unsigned slot, const tc_redis_node *node) {
  if (cluster->slots != NULL) cluster->slots[slot] = (uint16_t)(node - cluster->nodes + 1);
}

void tc_redis_cluster_masters(const tc_redis_cluster *cluster, tc_buf *out) {
  char name[TC_REDIS_HOST_SIZE + 8];
  for (size_t i = 0; i < cluster->count; i++) {
    size_t slot = 0;
    while (slot < TC_REDIS_SLOTS && cluster->slots[slot] != i + 1) slot++;
    if (slot == TC_REDIS_SLOTS) continue;
    (void)snprintf(name, sizeof name, "%s:%d ", cluster->nodes[i].host, cluster->nodes[i].port);
    tc_buf_add_str(out, tc_str_of(name));
  }
}

/* --- what nodes say -------------------------------------------------------------------------- */

bool tc_redis_is_host(tc_str host) {
  size_t i = 0;
  while (i < host.len && host.data[i] > ' ' && host.data[i] < 0x7f) i++;
  return i > 0 && i == host.len && i < TC_REDIS_HOST_SIZE && !tc_str_equal(host, TC_STR("?"));
}

bool tc_redis_read_address(tc_str text, tc_str asked, tc_str *host, int *port) {
  size_t at = text.len;
  long number = 0, unit = 1;
  while (at > 0 && text.len - at < 5 && text.data[at - 1] >= '0' && text.data[at - 1] <= '9') {
    number += unit * (text.data[--at] - '0');
    unit *= 10;
  }
  if (at == 0 || text.data[at - 1] != ':' || number < 1 || number > 65535) return false;
  size_t end = --at;
  while (at > 0 && text.data[at - 1] != ' ') at--; /* IPv6 has colons */
  *host = (tc_str){text.data + at, end - at};
  if (host->len == 0) *host = asked;
  *port = (int)number;
  return tc_redis_is_host(*host);
}

/* A node: host, port, and more that does not matter. Where the host is nil, or empty, it is that of
   the node that was asked. */
static int learn_node(tc_redis_cluster *to, const tc_redis_reply *said, tc_str asked,
                      unsigned generation, tc_redis_node **node, tc_error *err) {
  tc_str host = tc_redis_reply_at(said, 0).text;
  long long port = tc_redis_reply_at(said, 1).integer;
  if (host.len == 0) host = asked;
  if (!tc_redis_is_host(host) || port < 1 || port > 65535) return makes_no_sense(err);
  return tc_redis_cluster_add(to, host, (int)port, generation, node, err);
}

/* Slots in a row: the first, the last, the master, its replicas. A replica that has no address is
   left out. */
static int learn_range(tc_redis_cluster *to, const tc_redis_reply *said, tc_str asked,
                       unsigned generation, tc_error *err) {
  tc_redis_reply first = tc_redis_reply_at(said, 0), last = tc_redis_reply_at(said, 1);
  tc_redis_reply master = tc_redis_reply_at(said, 2);
  tc_redis_node *node = NULL;
  if (first.type != TC_REDIS_INTEGER || last.type != TC_REDIS_INTEGER || first.integer < 0 ||
      last.integer < first.integer || last.integer >= TC_REDIS_SLOTS) {
    return makes_no_sense(err);
  }
  int status = learn_node(to, &master, asked, generation, &node, err);
  if (status < 0) return status;
  for (size_t i = (size_t)first.integer; i <= (size_t)last.integer; i++) {
    tc_redis_cluster_move(to, (unsigned)i, node);
  }
  for (size_t i = 3; i < tc_redis_reply_count(said); i++) {
    tc_redis_reply replica = tc_redis_reply_at(said, i);
    if (learn_node(to, &replica, asked, generation, &node, err) == TC_ERR_NOMEM) {
      return TC_ERR_NOMEM;
    }
  }
  tc_error_clear(err);
  return 0;
}

int tc_redis_cluster_learn(tc_redis_cluster *cluster, const tc_redis_reply *reply, tc_str host,
                           unsigned generation, tc_error *err) {
  size_t count = tc_redis_reply_count(reply);
  tc_redis_cluster new = {.slots = calloc(TC_REDIS_SLOTS, sizeof *new.slots)};
  int status = 0;
  if (new.slots == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (count == 0) status = makes_no_sense(err); /* a node that has not met the others */
  for (size_t i = 0; i < count && status == 0; i++) {
    tc_redis_reply range = tc_redis_reply_at(reply, i);
    status = learn_range(&new, &range, host, generation, err);
  }
  if (status < 0) {
    tc_redis_cluster_free(&new);
    return status;
  }
  for (size_t i = 0; i < new.count; i++) {
    tc_redis_node *node = &new.nodes[i];
    const tc_redis_node *old = tc_redis_cluster_find(cluster, tc_str_of(node->host), node->port);
    if (old != NULL) node->generation = old->generation;
  }
  tc_redis_cluster_free(cluster);
  *cluster = new;
  return 0;
}

void tc_redis_cluster_free(tc_redis_cluster *cluster) {
  free(cluster->nodes);
  free(cluster->slots);
  *cluster = (tc_redis_cluster){0};
}
