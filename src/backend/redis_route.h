/* Where a conversation goes: to the one server, to whom sentinels call the master, or to the node
   of a cluster that serves the key. A part of redis_talk.c, for that alone. */
#pragma once

#include "backend/redis_error.h"
#include "backend/redis_talk.h"

#define TC_REDIS_PLACE_SIZE 400

/* Whether there may be another server where one cannot be used. */
bool tc_redis_has_others(const tc_redis_talk *talk);

/* Whether the error has this code. */
bool tc_redis_has_code(const tc_redis_talk *talk, const char *code);

/* Sets the error: what is wrong with the server that is spoken to, and the way out. */
void tc_redis_say(tc_redis_talk *talk, const char *code, const char *what);

tc_redis_part tc_redis_part_of(const tc_redis_talk *talk);

/* What messages call the server that is spoken to. */
const char *tc_redis_place(const tc_redis_talk *talk, char to[TC_REDIS_PLACE_SIZE]);

/* Notes where the command has to go. */
void tc_redis_route(tc_redis_talk *talk, const tc_str *words, size_t count, double now);

/* Connects, with the whole time for that. */
void tc_redis_connect(tc_redis_talk *talk, double now);

/* From now on only new connections are used, to who is said to be the right one then. */
void tc_redis_forget(tc_redis_talk *talk);

/* The server cannot be used for the command: a failover may be under way. */
void tc_redis_ask_again(tc_redis_talk *talk, double now);

/* Who was asked cannot tell. */
void tc_redis_ask_next(tc_redis_talk *talk, double now);

/* Who was asked has replied. */
void tc_redis_learn(tc_redis_talk *talk, double now);

/* A server that is no longer master, or not yet of use, has refused the command. */
void tc_redis_move_on(tc_redis_talk *talk, double now);

/* Goes where the node of a cluster sends the command by this error, which is in `err` too; false:
   it is another one. */
bool tc_redis_follow(tc_redis_talk *talk, tc_str error, double now);

/* Ends with the error that there is. */
void tc_redis_give_up(tc_redis_talk *talk);
