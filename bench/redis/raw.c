/* raw PORT | raw PATH: GET token_info by plain hiredis on one connection, nothing decoded. */
#include <hiredis/hiredis.h>
#include <string.h>

#include "../contestant.h"

static redisContext *redis;

static void work(long times) {
  for (; times > 0; times--) {
    redisReply *reply = redisCommand(redis, "GET %s", "token_info");
    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
      fprintf(stderr, "raw: no token\n");
      exit(1);
    }
    freeReplyObject(reply);
  }
}

int main(int argc, char **argv) {
  contestant_check(argc == 2, "usage");
  redis = argv[1][0] == '/' ? redisConnectUnix(argv[1])
                            : redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
  contestant_check(redis != NULL && redis->err == 0, "raw: connect");
  contestant_run(work);
  redisFree(redis);
  return 0;
}
