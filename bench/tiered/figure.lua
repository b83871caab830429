--- A fresh token from the front of a tiered handler, against one from the memory handler alone.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

return function(rounds)
  local contestants = {}
  for _, interpreter in ipairs(lua.interpreters) do
    contestants[#contestants + 1] =
      contest.enter(interpreter, lua.run(interpreter, "bench/tiered/token.lua"))
    contestants[#contestants + 1] =
      contest.enter("memory alone", lua.run(interpreter, "bench/memory/token.lua"))
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.005 })
  for i, interpreter in ipairs(lua.interpreters) do
    report.ratio("token from two tiers, " .. interpreter, contestants[2 * i - 1],
      contestants[2 * i], { most = 2 })
  end
end
