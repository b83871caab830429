--- The tokens of 10,000 users from a store in memory: by accounts, and by a flow made for each
--- request.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

local MOST = { ["lua5.4"] = 1.5, luajit = 0.4 } -- microseconds

return function(rounds)
  local contestants = {}
  for _, interpreter in ipairs(lua.interpreters) do
    for _, way in ipairs { "account", "flow" } do
      contestants[#contestants + 1] = contest.enter("account",
        lua.run(interpreter, "bench/accounts/take.lua", way))
    end
  end
  -- some turns of each user in each, or the first one, with cold caches, would be all
  contest.run(contestants, { rounds = math.ceil(rounds / 2), seconds = 0.1 })
  for i, interpreter in ipairs(lua.interpreters) do
    local account, flow = contestants[2 * i - 1], contestants[2 * i]
    report.value("account of 10,000, " .. interpreter, "us", account.times, MOST[interpreter])
    report.ratio("  a flow for each request", flow, account)
  end
end
