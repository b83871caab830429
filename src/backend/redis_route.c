#include "backend/redis_route.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_PAUSE 0.05 /* seconds before others are asked again; doubled each time */
#define LONGEST_PAUSE 0.5
#define CONFIRMED 1      /* seconds for which a master is taken for the master */
#define CONFIRM_TIME 0.5 /* seconds that a sentinel has then */
#define UNCONFIRMED 10   /* seconds before the next time, where no sentinel answered */
#define LEARNT 0.04      /* seconds for which what a cluster's node said is believed in any case */
#define MOST_AT_ONCE 5   /* redirections that are followed without a pause */

static bool has_sentinels(const tc_redis_talk *talk) {
  return talk->known->options.sentinel_count > 0;
}

static bool has_cluster(const tc_redis_talk *talk) {
  return talk->known->options.seed_count > 0;
}

bool tc_redis_has_others(const tc_redis_talk *talk) {
  return has_sentinels(talk) || has_cluster(talk);
}

tc_redis_part tc_redis_part_of(const tc_redis_talk *talk) {
  if (has_cluster(talk)) return TC_REDIS_NODE;
  return talk->is_sentinel ? TC_REDIS_SENTINEL : TC_REDIS_SERVER;
}

const char *tc_redis_place(const tc_redis_talk *talk, char to[TC_REDIS_PLACE_SIZE]) {
  const tc_redis_options *options = &talk->known->options;
  if (!tc_redis_has_others(talk)) return options->place;
  static const char *const parts[] = {"master", "sentinel", "node"};
  (void)snprintf(to, TC_REDIS_PLACE_SIZE, "%.280s (%s %.80s:%d)", options->place,
                 parts[tc_redis_part_of(talk)], talk->address.host, talk->address.port);
  return to;
}

bool tc_redis_has_code(const tc_redis_talk *talk, const char *code) {
  return strcmp(talk->err.code, code) == 0;
}

void tc_redis_say(tc_redis_talk *talk, const char *code, const char *what) {
  char place[TC_REDIS_PLACE_SIZE];
  tc_error_clear(&talk->err);
  (void)snprintf(talk->err.code, sizeof talk->err.code, "%s", code);
  (void)tc_error_set(&talk->err, TC_ERR_CACHE, "%s: Redis: %s", tc_redis_place(talk, place), what);
}

void tc_redis_give_up(tc_redis_talk *talk) {
  tc_redis_reader_close(talk->reader);
  talk->reader = NULL;
  talk->has_password = talk->is_refused = false;
  talk->action = TC_REDIS_DONE;
  talk->status = talk->err.number;
  talk->may_keep = false;
}

/* --- a cluster's nodes ----------------------------------------------------------------------- */

void tc_redis_route(tc_redis_talk *talk, const tc_str *words, size_t count, double now) {
  tc_redis_known *known = talk->known;
  talk->is_confirming =
      known->port != 0 &&
      (now - known->asked > CONFIRMED || known->asked - now > UNCONFIRMED); /* a clock set back */
  if (talk->is_confirming) known->asked = now; /* no other conversation need ask */
  if (!has_cluster(talk)) return;
  bool is_script = tc_str_equal(words[0], TC_STR("EVAL"));
  size_t at = !is_script ? 1 : count > 3 && !tc_str_equal(words[2], TC_STR("0")) ? 3 : count;
  talk->lists = tc_str_equal(words[0], TC_STR("CLUSTER"));
  talk->slot = at < count && !talk->lists ? (int)tc_redis_slot(words[at]) : -1;
  talk->is_asking = talk->is_learning = false;
  talk->redirections = 0;
}

static void go_to(tc_redis_talk *talk, tc_str host, int port) {
  if (host.data != talk->host) memcpy(talk->host, host.data, host.len);
  talk->host[host.len] = '\0';
  talk->address = (tc_dial_address){.host = talk->host, .port = port};
  const tc_redis_node *node = tc_redis_cluster_find(&talk->known->cluster, host, port);
  talk->generation = node != NULL ? node->generation : talk->known->generation;
}

static size_t count_to_ask(const tc_redis_known *known) {
  return known->cluster.count + known->options.seed_count;
}

/* Whom to ask in its turn: the nodes that are known, and those that the user named. */
static void go_to_one(tc_redis_talk *talk) {
  const tc_redis_known *known = talk->known;
  size_t i = known->turn % count_to_ask(known);
  if (i < known->cluster.count) {
    go_to(talk, tc_str_of(known->cluster.nodes[i].host), known->cluster.nodes[i].port);
  } else {
    const tc_dial_address *seed = &known->options.seeds[i - known->cluster.count];
    go_to(talk, tc_str_of(seed->host), seed->port);
  }
}

/* The node for the command; NULL: none that is known. */
static const tc_redis_node *node_of(const tc_redis_talk *talk) {
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  const tc_redis_cluster *cluster = &talk->known->cluster;
  if (talk->slot >= 0) return tc_redis_cluster_serving(cluster, (unsigned)talk->slot);
  size_t count = tc_redis_words(tc_buf_str(&talk->command), words);
  tc_str host;
  int port;
  if (!tc_redis_read_address(words[count - 1], TC_STR_NONE, &host, &port)) return NULL;
  return tc_redis_cluster_find(cluster, host, port);
}

static void ask_later(tc_redis_talk *talk, double now);

static void use_cluster(tc_redis_talk *talk, double now) {
  tc_redis_known *known = talk->known;
  double left = talk->connect_deadline - now;
  bool is_new = fabs(now - known->asked) < LEARNT && known->cluster.count > 0;
  talk->is_learning =
      !talk->is_asking &&
      (talk->lists || talk->asked > 0 || (known->is_stale && !is_new) || known->cluster.count == 0);
  talk->deadline = now + left / 2;
  if (talk->is_asking) {
    go_to(talk, tc_str_of(talk->host), talk->address.port);
  } else if (talk->is_learning) {
    size_t others = count_to_ask(known) - talk->asked;
    talk->deadline = now + left / (double)(others < 3 ? others + 1 : 4);
    known->asked = now;
    go_to_one(talk);
  } else {
    const tc_redis_node *node = node_of(talk);
    if (node != NULL) {
      go_to(talk, tc_str_of(node->host), node->port);
      return;
    }
    const char *what = talk->slot < 0 ? "no such node" : "no node serves the slot of this key";
    tc_error_clear(&talk->err);
    memcpy(talk->err.code, "CLUSTERDOWN", sizeof "CLUSTERDOWN");
    (void)tc_error_set(&talk->err, TC_ERR_CACHE,
                       "%s: Redis: %s; try again later, or see CLUSTER INFO", known->options.place,
                       what);
    if (talk->slot < 0) {
      tc_redis_give_up(talk); /* who lists keys knows what to do */
    } else {
      ask_later(talk, now);
    }
  }
}

/* --- what is to be done next ----------------------------------------------------------------- */

static void use(tc_redis_talk *talk, double now) {
  const tc_redis_known *known = talk->known;
  double left = talk->connect_deadline - now;
  talk->action = TC_REDIS_USE;
  talk->stage = 0;
  if (has_cluster(talk)) {
    use_cluster(talk, now);
    return;
  }
  talk->generation = known->generation;
  talk->is_sentinel = has_sentinels(talk) && (known->port == 0 || talk->is_confirming);
  talk->deadline = talk->connect_deadline;
  talk->address = known->options.address;
  if (talk->is_sentinel) { /* of the time each gets its part, and the master what is left */
    talk->address = known->options.sentinels[known->turn % known->options.sentinel_count];
    left /= (double)(known->options.sentinel_count - talk->asked + 1);
    talk->deadline = now + (talk->is_confirming && left > CONFIRM_TIME ? CONFIRM_TIME : left);
  } else if (has_sentinels(talk)) { /* where it does not answer there may be another one soon */
    talk->address = (tc_dial_address){.host = known->host, .port = known->port};
    talk->deadline = now + left / 2;
  }
}

static void begin_to_connect(tc_redis_talk *talk, double now) {
  talk->connect_deadline = now + talk->known->options.connect_timeout;
  talk->pause = FIRST_PAUSE;
  talk->asked = 0;
}

void tc_redis_connect(tc_redis_talk *talk, double now) {
  begin_to_connect(talk, now);
  talk->may_keep = false;
  use(talk, now);
}

void tc_redis_forget(tc_redis_talk *talk) {
  tc_redis_known *known = talk->known;
  unsigned current = known->generation;
  tc_redis_node *node = NULL;
  talk->may_keep = false;
  if (has_cluster(talk)) {
    talk->is_asking = false;
    node = tc_redis_cluster_find(&known->cluster, tc_str_of(talk->host), talk->address.port);
    if (node != NULL) current = node->generation;
  }
  if (current != talk->generation) return; /* another conversation did */
  known->generation++;
  if (node != NULL) node->generation = known->generation;
  known->is_stale = true;
  known->port = 0;
  talk->is_confirming = false;
}

static void ask_later(tc_redis_talk *talk, double now) {
  talk->known->is_stale = true;
  if (has_cluster(talk)) talk->known->turn++; /* this node may know nothing better */
  if (now + talk->pause >= talk->connect_deadline) {
    tc_redis_give_up(talk);
    return;
  }
  talk->action = TC_REDIS_SLEEP;
  talk->deadline = now + talk->pause;
  talk->pause = talk->pause < LONGEST_PAUSE / 2 ? 2 * talk->pause : LONGEST_PAUSE;
}

void tc_redis_ask_again(tc_redis_talk *talk, double now) {
  tc_redis_forget(talk);
  ask_later(talk, now);
}

void tc_redis_ask_next(tc_redis_talk *talk, double now) {
  tc_redis_known *known = talk->known;
  size_t count = has_cluster(talk) ? count_to_ask(known) : known->options.sentinel_count;
  known->turn++;
  if (++talk->asked < count) {
    use(talk, now);
  } else if (talk->is_confirming && known->port != 0) { /* it is still the master that is known */
    known->asked = now + UNCONFIRMED;
    talk->is_confirming = false;
    tc_error_clear(&talk->err);
    use(talk, now);
  } else {
    tc_redis_give_up(talk);
  }
}

void tc_redis_talk_slept(tc_redis_talk *talk, double now) {
  talk->asked = 0;
  use(talk, now);
}

/* --- what servers say ------------------------------------------------------------------------ */

/* Reads where the master is; false: a sentinel does not know it. */
static bool read_master(tc_redis_known *known, const tc_redis_reply *reply) {
  tc_str host = tc_redis_reply_at(reply, 0).text, text = tc_redis_reply_at(reply, 1).text;
  if (!tc_redis_is_host(host) || text.len == 0 || text.len > 5) return false;
  int port = (int)strtol(text.data, NULL, 10); /* hiredis terminates texts */
  if (port < 1 || port > 65535) return false;
  if (port == known->port && tc_str_equal(host, tc_str_of(known->host))) return true;
  if (known->port != 0) known->generation++;
  memcpy(known->host, host.data, host.len);
  known->host[host.len] = '\0';
  known->port = port;
  return true;
}

static void learn_master(tc_redis_talk *talk, double now) {
  if (read_master(talk->known, &talk->reply)) {
    talk->known->asked = now;
    talk->is_confirming = false;
    use(talk, now);
    return;
  }
  tc_redis_say(talk, "MASTER", "there is no such master; check master=");
  tc_redis_ask_next(talk, now);
}

/* Ends CLUSTER SLOTS with the names of the masters. */
static void list_masters(tc_redis_talk *talk) {
  tc_redis_reply_free(&talk->reply);
  tc_buf_clear(&talk->preparation);
  tc_redis_cluster_masters(&talk->known->cluster, &talk->preparation);
  if (talk->preparation.failed) {
    (void)tc_error_set(&talk->err, TC_ERR_NOMEM, NULL);
    tc_redis_give_up(talk);
    return;
  }
  talk->reply = (tc_redis_reply){TC_REDIS_STRING, tc_buf_str(&talk->preparation), 0, NULL};
  talk->action = TC_REDIS_DONE;
  talk->status = 0;
  talk->may_keep = true;
}

static void learn_slots(tc_redis_talk *talk, double now) {
  char place[TC_REDIS_PLACE_SIZE];
  tc_redis_known *known = talk->known;
  tc_error cause = TC_ERROR_NONE;
  if (tc_redis_cluster_learn(&known->cluster, &talk->reply, tc_str_of(talk->host),
                             known->generation + 1, &cause) < 0) {
    tc_redis_connection_error(&talk->err, tc_redis_place(talk, place), &cause,
                              "see CLUSTER SLOTS on this node");
    if (cause.number == TC_ERR_NOMEM) {
      tc_redis_give_up(talk);
    } else {
      tc_redis_ask_next(talk, now);
    }
    return;
  }
  known->generation++; /* that of new nodes */
  known->asked = now;
  known->is_stale = false;
  tc_redis_reader_close(talk->reader); /* it may have grown large */
  talk->reader = NULL;
  talk->asked = 0;
  if (talk->lists) {
    list_masters(talk);
  } else {
    talk->may_keep = true;
    use(talk, now);
  }
}

void tc_redis_learn(tc_redis_talk *talk, double now) {
  if (has_cluster(talk)) {
    learn_slots(talk, now);
  } else {
    learn_master(talk, now);
  }
}

void tc_redis_move_on(tc_redis_talk *talk, double now) {
  talk->left -= now - talk->start;
  if (talk->history == TC_REDIS_STRAIGHT) {
    talk->history = TC_REDIS_RECONNECTED;
    begin_to_connect(talk, now);
  }
  tc_redis_ask_again(talk, now);
}

/* Goes where the error says: "MOVED 3999 host:port". False: that is nowhere. */
static bool redirect(tc_redis_talk *talk, tc_str error, double now) {
  tc_error err = TC_ERROR_NONE;
  tc_redis_known *known = talk->known;
  tc_redis_node *node;
  tc_str host;
  int port;
  if (!tc_redis_read_address(error, tc_str_of(talk->host), &host, &port)) return false;
  if (tc_redis_cluster_add(&known->cluster, host, port, known->generation + 1, &node, &err) < 0) {
    return false;
  }
  if (node->generation == known->generation + 1) known->generation++;
  talk->is_asking = tc_redis_has_code(talk, "ASK");
  if (!talk->is_asking && talk->slot >= 0) {
    tc_redis_cluster_move(&known->cluster, (unsigned)talk->slot, node);
  }
  if (talk->is_asking) go_to(talk, tc_str_of(node->host), port);
  talk->may_keep = true;
  talk->asked = 0;
  use(talk, now);
  return true;
}

bool tc_redis_follow(tc_redis_talk *talk, tc_str error, double now) {
  bool is_elsewhere = tc_redis_has_code(talk, "MOVED") || tc_redis_has_code(talk, "ASK");
  bool is_pause = tc_redis_has_code(talk, "TRYAGAIN") || tc_redis_has_code(talk, "CLUSTERDOWN");
  if (!has_cluster(talk) || (!is_elsewhere && !is_pause)) return false;
  talk->left -= now - talk->start;
  if (talk->redirections++ == 0) begin_to_connect(talk, now);
  if (is_elsewhere && talk->redirections <= MOST_AT_ONCE && redirect(talk, error, now)) {
    return true;
  }
  talk->is_asking = false;
  talk->may_keep = true;
  ask_later(talk, now);
  return true;
}
