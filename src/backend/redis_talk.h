/* The conversation with a Redis server, without I/O and without a clock: what is to be done next
   for a command, from the connection to the reply. A mover of bytes, with blocking sockets or in an
   event loop, carries that out and tells what came of it.

   begin ─► USE ─ connected ─► SEND ─ received ─► RECEIVE ... ─► DONE
             │ new: first AUTH, ROLE and SELECT, each by SEND and RECEIVE; where replicas are to
             │ have it, WAIT at last
             └ broken, a replica, no password yet: USE, SLEEP or PASSWORD once more

   With sentinels the first USE is of a sentinel, which names the master, and the next one of that;
   once in a second even where the master is known, as a master that was replaced may not know it.
   Any failure is told by tc_redis_talk_failed; the conversation decides whether there is another
   way.

   In a cluster the first USE is of some node, which says who serves which slots, and the next one
   of that which serves the key's. A node that sends elsewhere (MOVED, ASK) is one more reason for
   USE, and ASKING one more command that goes before ours: the mover keeps its connections by
   address, and need not know why. A command without a key goes to the node that its last word
   names; CLUSTER SLOTS, and no other, is replied to by the names of all nodes that have slots. */
#pragma once

#include "backend/dial.h"
#include "backend/redis_cluster.h"

#define TC_REDIS_MOST_SENTINELS 16 /* and nodes of a cluster that are named */

/* All that is pointed at must outlive who uses it. */
typedef struct tc_redis_options {
  const char *place; /* what messages call the server */
  tc_dial_address address;
  tc_str username;    /* absent: Redis's default user */
  tc_str password;    /* absent: no AUTH */
  bool asks_password; /* for each connection: see TC_REDIS_PASSWORD */
  int db;
  double connect_timeout;                             /* seconds, until a command can be sent */
  double timeout;                                     /* seconds, for a command and its reply */
  tc_dial_address sentinels[TC_REDIS_MOST_SENTINELS]; /* then `address` means nothing */
  size_t sentinel_count;
  tc_str master;                                  /* the sentinels' name of the servers */
  tc_dial_address seeds[TC_REDIS_MOST_SENTINELS]; /* nodes of a cluster, which name the others;
                                                     `address` means nothing then either */
  size_t seed_count;
  tc_str sentinel_username, sentinel_password;
  int replicas; /* that must have what a command wrote before it counts as done; 0: none */
} tc_redis_options;

/* What all conversations with the same server know of it. The cluster is to be freed. */
typedef struct tc_redis_known {
  tc_redis_options options;
  unsigned generation;           /* connections of an earlier one are not to be used */
  char host[TC_REDIS_HOST_SIZE]; /* of the master, as the sentinels say */
  int port;                      /* 0: they are to be asked */
  size_t turn;                   /* of the sentinel, or the node, that is asked first */
  double asked; /* when they, or a cluster's nodes, last were, or are to count as asked */
  tc_redis_cluster cluster;
  bool is_stale; /* what is known of the cluster: it is to be asked again */
} tc_redis_known;

typedef enum tc_redis_action {
  TC_REDIS_USE,      /* a connection to `address`, kept from this generation or new; to a sentinel
                        always a new one, which is closed at the next USE, or when all is DONE.
                        Then: connected */
  TC_REDIS_SEND,     /* all of `bytes`, and then: */
  TC_REDIS_RECEIVE,  /* some bytes; then: received */
  TC_REDIS_SLEEP,    /* until the deadline; then: slept */
  TC_REDIS_PASSWORD, /* read anew, which may take until the deadline; then: give_password */
  TC_REDIS_DONE,     /* `status` tells how. Unless `may_keep` the connection is to be closed */
} tc_redis_action;

/* What a command went through. */
typedef enum tc_redis_history {
  TC_REDIS_STRAIGHT,
  TC_REDIS_RECONNECTED, /* the kept connection had been lost; the command was executed once */
  TC_REDIS_REPEATED,    /* the connection broke after the command was sent: it was sent again, and
                           may have been executed twice */
} tc_redis_history;

typedef struct tc_redis_talk {
  tc_redis_action action;
  double deadline; /* of the action, on the clock of `now` */
  tc_dial_address address;
  bool is_sentinel; /* it is a sentinel's address */
  unsigned generation;
  tc_str bytes;
  int status; /* 0, or the number of `err` */
  tc_redis_reply reply;
  tc_error err; /* of kind "cache", and names the server */
  tc_redis_history history;
  bool may_keep;   /* at USE: the last connection, if it is another one */
  bool is_refused; /* the last password that was given */
  /* what follows is the conversation's own */
  tc_redis_known *known;
  tc_buf password; /* for the next connection */
  bool has_password;
  tc_redis_reader *reader;
  tc_buf command, preparation; /* what the user sends, and what goes before and after it */
  tc_redis_reply answer;       /* to the command, while replicas are waited for */
  int stage;
  double start, left; /* when the command was sent, and the seconds that it has from then on */
  double connect_deadline, pause;
  size_t asked;       /* sentinels or nodes, in this round */
  bool is_confirming; /* they are asked about a master that is known */
  /* of a command in a cluster */
  int slot;                      /* of its key; negative: it has none */
  bool lists;                    /* it is CLUSTER SLOTS */
  bool is_learning;              /* the node is asked who serves which slots */
  bool is_asking;                /* a node has sent it here with ASK */
  int redirections;              /* by MOVED and ASK */
  char host[TC_REDIS_HOST_SIZE]; /* of `address` */
} tc_redis_talk;

/* Begins with a command, which must bear being executed twice; an earlier one is forgotten. A
   conversation is all zeros at first. */
void tc_redis_talk_begin(tc_redis_talk *talk, tc_redis_known *known, const tc_str *words,
                         size_t count, double now);

/* After tc_redis_talk_begin: a kept connection turned out to be lost. */
void tc_redis_talk_lost(tc_redis_talk *talk, double now);

void tc_redis_talk_connected(tc_redis_talk *talk, bool is_new, double now);
void tc_redis_talk_received(tc_redis_talk *talk, const char *bytes, size_t len, double now);
void tc_redis_talk_slept(tc_redis_talk *talk, double now);

/* `cause` is what is wrong with the connection, by its number; `remedy` NULL is that for scripts.
   The connection is of no more use. */
void tc_redis_talk_failed(tc_redis_talk *talk, const tc_error *cause, const char *remedy,
                          double now);

/* Erases what was said. */
void tc_redis_talk_end(tc_redis_talk *talk);

/* Frees what the conversation holds. */
void tc_redis_talk_free(tc_redis_talk *talk);

/* Whether a new connection is to have a password that nobody has asked for yet. */
bool tc_redis_talk_lacks_password(const tc_redis_talk *talk);

/* The password for the next connection: before tc_redis_talk_begin, or where it is asked for. */
void tc_redis_talk_give_password(tc_redis_talk *talk, tc_str password, double now);
