--- take.lua token|token_info PORT: see bench.take.

local tokencache = require "tokencache"

require("bench.take")[arg[1]](tokencache.cache.memcached { servers = { "127.0.0.1:" .. arg[2] } })
