#include "backend/redis_talk.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/redis_error.h"
#include "backend/redis_route.h"

#define KEPT 4096         /* bytes of memory for commands that are kept for the next one */
#define LARGE 65536       /* bytes of a reply; what it took is freed then */
#define REPLICA_TIME 1.0  /* seconds that replicas have, at the most half of what is left */
#define MOST_ELEMENTS 256 /* of a list, and of each list in it */

/* Where a conversation is. What a connection does not need is passed over; one that is kept needs
   nothing before LEARN. */
enum { LOGIN, ASK, ROLE, SELECT, LEARN, ASKING, COMMAND, REPLICAS };

static void end(tc_redis_talk *talk, int status, bool may_keep) {
  talk->action = TC_REDIS_DONE;
  talk->status = status;
  talk->may_keep = may_keep;
}

/* Connects anew, after something went wrong that a new connection may mend. */
static void connect_again(tc_redis_talk *talk, tc_redis_history history, double now) {
  tc_redis_forget(talk);
  tc_error_clear(&talk->err);
  if (talk->history < history) talk->history = history; /* in the order of what may have happened */
  tc_redis_connect(talk, now);
}

/* --- commands -------------------------------------------------------------------------------- */

bool tc_redis_talk_lacks_password(const tc_redis_talk *talk) {
  return talk->known->options.asks_password && !talk->has_password;
}

static size_t login_words(const tc_redis_talk *talk, tc_str *words) {
  const tc_redis_options *options = &talk->known->options;
  tc_str username = talk->is_sentinel ? options->sentinel_username : options->username;
  tc_str password = talk->is_sentinel ? options->sentinel_password : options->password;
  size_t count = 0;
  if (!talk->is_sentinel && options->asks_password) password = tc_buf_str(&talk->password);
  if (password.data == NULL) return 0;
  words[count++] = TC_STR("AUTH");
  if (username.data != NULL) words[count++] = username;
  words[count++] = password;
  return count;
}

/* The command of this stage that makes a new connection ready; 0 words where it needs none. */
static size_t words_of(const tc_redis_talk *talk, tc_str words[3], char *db, size_t size) {
  const tc_redis_options *options = &talk->known->options;
  switch (talk->stage) {
  case LOGIN:
    return login_words(talk, words);
  case ASK:
    words[0] = TC_STR("SENTINEL");
    words[1] = TC_STR("GET-MASTER-ADDR-BY-NAME");
    words[2] = options->master;
    return talk->is_sentinel ? 3 : 0;
  case ROLE:
    words[0] = TC_STR("ROLE");
    return options->sentinel_count > 0 ? 1 : 0;
  case LEARN:
    words[0] = TC_STR("CLUSTER");
    words[1] = TC_STR("SLOTS");
    return talk->is_learning ? 2 : 0;
  case ASKING:
    words[0] = TC_STR("ASKING");
    return talk->is_asking ? 1 : 0;
  default:
    (void)snprintf(db, size, "%d", options->db);
    words[0] = TC_STR("SELECT");
    words[1] = tc_str_of(db);
    return options->db != 0 ? 2 : 0;
  }
}

static void send(tc_redis_talk *talk, const tc_buf *bytes) {
  bool is_list = talk->stage == ASK || talk->stage == ROLE;
  tc_redis_reader_expect_array(talk->reader, talk->stage == LEARN ? TC_REDIS_SLOTS
                                             : is_list            ? MOST_ELEMENTS
                                                                  : 0);
  talk->bytes = tc_buf_str(bytes);
  talk->action = TC_REDIS_SEND;
}

/* Sends what this connection needs next: true; false: it is ready for the command. */
static bool prepare(tc_redis_talk *talk) {
  tc_str words[3];
  char db[16];
  for (; talk->stage < COMMAND; talk->stage++) {
    if (talk->stage == LOGIN && !talk->is_sentinel && tc_redis_talk_lacks_password(talk)) {
      talk->action = TC_REDIS_PASSWORD;
      return true;
    }
    size_t count = words_of(talk, words, db, sizeof db);
    if (count == 0) continue;
    tc_buf_clear(&talk->preparation);
    if (talk->password.failed) {
      (void)tc_error_set(&talk->err, TC_ERR_NOMEM, NULL);
      tc_redis_give_up(talk);
    } else if (tc_redis_format(&talk->preparation, words, count, &talk->err) < 0) {
      tc_redis_give_up(talk);
    } else {
      send(talk, &talk->preparation);
    }
    return true;
  }
  return false;
}

static void go_on(tc_redis_talk *talk, double now) {
  tc_redis_reply_free(&talk->answer);
  if (talk->stage < COMMAND && prepare(talk)) return;
  talk->start = now;
  talk->deadline = now + talk->left;
  send(talk, &talk->command);
}

void tc_redis_talk_begin(tc_redis_talk *talk, tc_redis_known *known, const tc_str *words,
                         size_t count, double now) {
  tc_redis_talk_end(talk);
  tc_error_clear(&talk->err);
  talk->known = known;
  talk->history = TC_REDIS_STRAIGHT;
  talk->left = known->options.timeout;
  tc_redis_route(talk, words, count, now);
  if (tc_redis_format(&talk->command, words, count, &talk->err) < 0) {
    tc_redis_give_up(talk);
  } else {
    tc_redis_connect(talk, now);
  }
}

void tc_redis_talk_lost(tc_redis_talk *talk, double now) {
  connect_again(talk, TC_REDIS_RECONNECTED, now);
}

void tc_redis_talk_connected(tc_redis_talk *talk, bool is_new, double now) {
  if (talk->reader == NULL && tc_redis_reader_open(&talk->reader, &talk->err) < 0) {
    tc_redis_give_up(talk);
    return;
  }
  if (!is_new) talk->stage = LEARN;
  go_on(talk, now);
}

void tc_redis_talk_give_password(tc_redis_talk *talk, tc_str password, double now) {
  tc_buf_free(&talk->password);
  tc_buf_add_str(&talk->password, password);
  talk->has_password = true;
  if (talk->action == TC_REDIS_PASSWORD) go_on(talk, now);
}

/* --- failures -------------------------------------------------------------------------------- */

void tc_redis_talk_failed(tc_redis_talk *talk, const tc_error *cause, const char *remedy,
                          double now) {
  char place[TC_REDIS_PLACE_SIZE];
  int number = cause->number;
  tc_redis_reader_close(talk->reader);
  talk->reader = NULL;
  talk->may_keep = false;
  tc_redis_connection_error(&talk->err, tc_redis_place(talk, place), cause, remedy);
  if (talk->stage >= COMMAND) {
    if (number == TC_ERR_NETWORK || tc_redis_has_others(talk)) tc_redis_forget(talk);
    talk->left -= now - talk->start;
    if (number == TC_ERR_NETWORK && talk->history == TC_REDIS_STRAIGHT) {
      connect_again(talk, TC_REDIS_REPEATED, now);
      return;
    } else if (number == TC_ERR_NETWORK && tc_redis_has_others(talk)) {
      talk->history = TC_REDIS_REPEATED;
      tc_redis_ask_again(talk, now);
      return;
    }
  } else if ((talk->is_sentinel || talk->is_learning) && number != TC_ERR_NOMEM) {
    if (talk->is_learning) tc_redis_forget(talk);
    tc_redis_ask_next(talk, now);
    return;
  } else if (tc_redis_has_others(talk) &&
             (number == TC_ERR_CONNECT || number == TC_ERR_NETWORK || number == TC_ERR_TIMEOUT)) {
    tc_redis_ask_again(talk, now);
    return;
  }
  tc_redis_give_up(talk);
}

/* Whether a server that is no master said so, or one that cannot be used as such yet. */
static bool is_no_master(const tc_redis_talk *talk) {
  return tc_redis_has_code(talk, "READONLY") || tc_redis_has_code(talk, "LOADING") ||
         tc_redis_has_code(talk, "MASTERDOWN");
}

/* The reply is an error. */
static void refused(tc_redis_talk *talk, double now) {
  char place[TC_REDIS_PLACE_SIZE];
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  const tc_redis_options *options = &talk->known->options;
  size_t count = tc_redis_words(talk->bytes, words);
  int status = tc_redis_server_error(&talk->err, tc_redis_place(talk, place), talk->reply.text,
                                     words, count, tc_redis_part_of(talk));
  bool is_password = options->asks_password || options->password.data != NULL;
  if (status == TC_ERR_NOMEM) {
    tc_redis_give_up(talk);
  } else if (talk->is_sentinel || (talk->is_learning && talk->stage != LOGIN)) {
    tc_redis_ask_next(talk, now);
  } else if (talk->stage == COMMAND && tc_redis_follow(talk, talk->reply.text, now)) {
    return;
  } else if (tc_redis_has_others(talk) && is_no_master(talk)) {
    if (talk->stage == COMMAND) {
      tc_redis_move_on(talk, now);
    } else {
      tc_redis_ask_again(talk, now);
    }
  } else if (talk->stage == LOGIN && options->asks_password &&
             tc_redis_has_code(talk, "WRONGPASS") && !talk->is_refused) {
    talk->is_refused = true;
    talk->has_password = false;
    talk->action = TC_REDIS_PASSWORD;
  } else if (talk->stage == COMMAND && tc_redis_has_code(talk, "NOAUTH") && is_password &&
             talk->history == TC_REDIS_STRAIGHT) {
    connect_again(talk, TC_REDIS_RECONNECTED, now);
  } else if (talk->stage < COMMAND) {
    tc_redis_give_up(talk);
  } else { /* the name or the address of a replica may lead to the master by the next time */
    bool is_of_use = !tc_redis_has_code(talk, "READONLY") && talk->stage == COMMAND;
    if (!is_of_use) tc_redis_forget(talk);
    end(talk, status, is_of_use);
  }
}

/* --- replies --------------------------------------------------------------------------------- */

static void check_role(tc_redis_talk *talk, double now) {
  if (tc_str_equal(tc_redis_reply_at(&talk->reply, 0).text, TC_STR("master"))) {
    talk->stage++;
    go_on(talk, now);
    return;
  }
  tc_redis_say(talk, "READONLY", "this is a replica now; try again later");
  tc_redis_ask_again(talk, now);
}

/* Whether the command may have written something: it has keys, and is not GET. */
static bool has_written(const tc_redis_talk *talk) {
  tc_str words[TC_REDIS_MOST_ARGUMENTS];
  size_t count = tc_redis_words(tc_buf_str(&talk->command), words);
  if (talk->reply.type == TC_REDIS_NIL || tc_str_equal(words[0], TC_STR("GET"))) return false;
  return !tc_str_equal(words[0], TC_STR("EVAL")) ||
         (count > 2 && !tc_str_equal(words[2], TC_STR("0")));
}

/* On the connection that the command came by: Redis counts what was written by that. */
static void wait_for_replicas(tc_redis_talk *talk, double now) {
  char number[16], milliseconds[16];
  double left = (talk->deadline - now) / 2;
  if (left > REPLICA_TIME) left = REPLICA_TIME;
  (void)snprintf(number, sizeof number, "%d", talk->known->options.replicas);
  (void)snprintf(milliseconds, sizeof milliseconds, "%d", left > 0.001 ? (int)(left * 1000) : 1);
  const tc_str words[] = {TC_STR("WAIT"), tc_str_of(number), tc_str_of(milliseconds)};
  talk->answer = talk->reply;
  talk->reply = TC_REDIS_REPLY_NONE;
  talk->stage = REPLICAS;
  tc_buf_clear(&talk->preparation);
  if (tc_redis_format(&talk->preparation, words, 3, &talk->err) < 0) {
    tc_redis_give_up(talk);
  } else {
    send(talk, &talk->preparation);
  }
}

/* A master that was replaced has no replicas either. */
static void count_replicas(tc_redis_talk *talk) {
  char what[100];
  int wanted = talk->known->options.replicas;
  if (talk->reply.type == TC_REDIS_INTEGER && talk->reply.integer >= wanted) {
    tc_redis_reply_free(&talk->reply);
    talk->reply = talk->answer;
    talk->answer = TC_REDIS_REPLY_NONE;
    end(talk, 0, true);
    return;
  }
  (void)snprintf(what, sizeof what,
                 "%lld of %d replicas have it so far; check the replicas, or replicas=",
                 talk->reply.integer, wanted);
  tc_redis_say(talk, "NOREPLICAS", what);
  tc_redis_forget(talk);
  tc_redis_give_up(talk);
}

static void has_logged_in(tc_redis_talk *talk) {
  tc_buf_clear(&talk->password);
  talk->has_password = talk->is_refused = false;
}

static void answered(tc_redis_talk *talk, double now) {
  if (talk->reply.type == TC_REDIS_ERROR) {
    refused(talk, now);
  } else if (talk->stage == COMMAND) {
    if (talk->known->options.replicas > 0 && has_written(talk)) {
      wait_for_replicas(talk, now);
    } else {
      end(talk, 0, true);
    }
  } else if (talk->stage == REPLICAS) {
    count_replicas(talk);
  } else if (talk->stage == ASK || talk->stage == LEARN) {
    tc_redis_learn(talk, now);
  } else if (talk->stage == ROLE) {
    check_role(talk, now);
  } else {
    if (talk->stage == LOGIN) has_logged_in(talk);
    talk->stage++;
    go_on(talk, now);
  }
  if (talk->action != TC_REDIS_DONE) tc_redis_reply_free(&talk->reply);
}

void tc_redis_talk_received(tc_redis_talk *talk, const char *bytes, size_t len, double now) {
  tc_error *err = &talk->err;
  int status = tc_redis_reader_feed(talk->reader, bytes, len, err);
  if (status == 0) status = tc_redis_reader_get(talk->reader, &talk->reply, err);
  if (status == 0) {
    talk->action = TC_REDIS_RECEIVE;
    return;
  }
  if (status > 0) status = tc_redis_reader_end(talk->reader, err);
  if (status == 0) {
    answered(talk, now);
    return;
  }
  tc_error cause = *err;
  tc_redis_reply_free(&talk->reply);
  tc_redis_talk_failed(talk, &cause, NULL, now);
}

/* --- the end --------------------------------------------------------------------------------- */

void tc_redis_talk_end(tc_redis_talk *talk) {
  if (talk->reply.text.len > LARGE) { /* a reader's buffer never shrinks */
    tc_redis_reader_close(talk->reader);
    talk->reader = NULL;
  }
  tc_redis_reply_free(&talk->reply);
  tc_redis_reply_free(&talk->answer);
  tc_buf_clear(&talk->command);
  tc_buf_clear(&talk->preparation);
  if (talk->command.cap > KEPT) tc_buf_free(&talk->command);
}

void tc_redis_talk_free(tc_redis_talk *talk) {
  tc_redis_reply_free(&talk->reply);
  tc_redis_reply_free(&talk->answer);
  tc_redis_reader_close(talk->reader);
  tc_buf_free(&talk->command);
  tc_buf_free(&talk->preparation);
  tc_buf_free(&talk->password);
}
