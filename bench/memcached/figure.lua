--- A fresh token from memcached.

local from_outside = require "bench.from_outside"
local memcached_server = require "support.memcached_server"
local one_core = require "bench.one_core"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local AIM = { most = 1.1 }

local function measure(rounds)
  local server = memcached_server.start()
  local cache = tokencache.cache.memcached { servers = { server.address } }
  assert(cache:save_token_to_cache(token_info))
  from_outside(rounds, {
    name = "token from memcached", directory = "bench/memcached", place = server.port,
    floor = "libmemcached", seconds = 0.01, aim = AIM,
    info_name = "a table of the caller's own", info_aim = AIM,
  })
  server:stop()
end

return function(rounds)
  one_core(function() measure(rounds) end)
end
