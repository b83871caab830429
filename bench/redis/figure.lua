--- A fresh token from Redis, on the loopback and through a Unix socket; and from a cluster.

local contest = require "bench.contest"
local from_outside = require "bench.from_outside"
local loopback = require "support.loopback"
local lua = require "bench.lua_command"
local one_core = require "bench.one_core"
local process = require "support.process"
local redis_server = require "support.redis_server"
local report = require "bench.report"
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

--- A cluster of one node, which costs the client as much as one of many.
local function start_cluster()
  local node = redis_server.start { "--cluster-enabled", "yes", "--cluster-port",
    loopback.free_port() }
  node:cli("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
  process.wait_until("the cluster", function()
    return node:cli("CLUSTER", "INFO"):find "cluster_state:ok"
  end)
  return node
end

local function compare(rounds, server)
  local node, contestants = start_cluster(), {}
  local place = "cluster:" .. node.port
  assert(tokencache.cache.redis({ cluster = { "127.0.0.1:" .. node.port } })
    :save_token_to_cache(token_info))
  for _, interpreter in ipairs(lua.interpreters) do
    for _, from in ipairs { server.port, place } do
      contestants[#contestants + 1] = contest.enter(from == place and "a cluster" or "one server",
        lua.run(interpreter, "bench/redis/take.lua", "token", from))
    end
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.01 })
  for i, interpreter in ipairs(lua.interpreters) do
    report.ratio("from a cluster, " .. interpreter, contestants[2 * i], contestants[2 * i - 1],
      { most = 1.05 })
  end
  node:stop()
end

return function(rounds)
  one_core(function()
    local server = redis_server.start()
    assert(tokencache.cache.redis({ port = server.port }):save_token_to_cache(token_info))
    measure(rounds, "token from Redis", server.port)
    measure(rounds, "by a Unix socket", server.path)
    compare(rounds, server)
    server:stop()
  end)
end
