--- What it costs to read a sealed entry: the same get, sealed and not.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

return function(rounds)
  local contestants = {}
  for _, interpreter in ipairs(lua.interpreters) do
    for _, kind in ipairs { "sealed", "plain" } do
      contestants[#contestants + 1] =
        contest.enter(kind, lua.run(interpreter, "bench/encrypted/get.lua", kind))
    end
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.005 })
  for i, interpreter in ipairs(lua.interpreters) do
    report.difference("get, encrypted, " .. interpreter, "us", contestants[2 * i - 1].times,
      "not encrypted", contestants[2 * i].times)
  end
end
