--- take.lua token|token_info PLACE: from Redis, see bench.take. PLACE: a port, a socket's path, or
--- "cluster:PORT".

local tokencache = require "tokencache"

local node = arg[2]:match "^cluster:(%d+)$"

require("bench.take")[arg[1]](tokencache.cache.redis {
  port = tonumber(arg[2]), path = arg[2]:match "^/.*",
  cluster = node and { "127.0.0.1:" .. node },
})
