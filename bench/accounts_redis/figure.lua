--- The tokens of 1,000 users from Redis on the loopback: by accounts, and by a flow made for each
--- request.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local many = require "bench.accounts.many"
local one_core = require "bench.one_core"
local redis_server = require "support.redis_server"
local report = require "bench.report"
local tokencache = require "tokencache"

local USERS = 1000
local AIM = { most = 1.1 }

local function measure(rounds, port)
  local raw = contest.enter("hiredis", ("build/bench/accounts_redis/raw %d %d"):format(port, USERS))
  local contestants = { raw }
  for _, interpreter in ipairs(lua.interpreters) do
    for _, way in ipairs { "account", "flow" } do
      contestants[#contestants + 1] = contest.enter(interpreter,
        lua.run(interpreter, "bench/accounts_redis/take.lua", way, port, USERS))
    end
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.01 })
  for i, interpreter in ipairs(lua.interpreters) do
    report.ratio("account in Redis, " .. interpreter, contestants[2 * i], raw, AIM)
    report.ratio("  a flow for each request", contestants[2 * i + 1], raw)
  end
end

return function(rounds)
  one_core(function()
    local server = redis_server.start()
    many.fill(tokencache.store.redis { port = server.port }, many.keys(USERS))
    measure(rounds, server.port)
    server:stop()
  end)
end
