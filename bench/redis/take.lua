--- take.lua token|token_info PORT, or a socket's path: see bench.take.

local tokencache = require "tokencache"

require("bench.take")[arg[1]](tokencache.cache.redis {
  port = tonumber(arg[2]), path = arg[2]:match "^/.*",
})
