--- A fresh token from Redis, on the loopback and through a Unix socket.

local from_outside = require "bench.from_outside"
local one_core = require "bench.one_core"
local redis_server = require "support.redis_server"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local AIM = { most = 1.1 }

local function measure(rounds, name, place)
  from_outside(rounds, {
    name = name, directory = "bench/redis", place = place,
    floor = "hiredis", seconds = 0.01, aim = AIM,
    info_name = "a table of the caller's own", info_aim = AIM,
  })
end

return function(rounds)
  one_core(function()
    local server = redis_server.start()
    assert(tokencache.cache.redis({ port = server.port }):save_token_to_cache(token_info))
    measure(rounds, "token from Redis", server.port)
    measure(rounds, "by a Unix socket", server.path)
    server:stop()
  end)
end
