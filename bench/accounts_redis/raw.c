/* raw PORT USERS: GET user:1, user:2, ... in turn by plain hiredis on one connection, nothing
   decoded. */
#include <hiredis/hiredis.h>

#include "../contestant.h"

static redisContext *redis;
static long users;

static void work(long times) {
  static long last;
  for (; times > 0; times--) {
    last = last % users + 1;
    redisReply *reply = redisCommand(redis, "GET user:%ld", last);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
      fprintf(stderr, "raw: no token\n");
      exit(1);
    }
    freeReplyObject(reply);
  }
}

int main(int argc, char **argv) {
  contestant_check(argc == 3, "usage");
  redis = redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
  contestant_check(redis != NULL && redis->err == 0, "raw: connect");
  users = strtol(argv[2], NULL, 10);
  contestant_run(work);
  redisFree(redis);
  return 0;
}
