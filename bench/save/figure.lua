--- A save that survives a power cut. Both write to the disk that build/ is on, each in a directory
--- of its own.

local contest = require "bench.contest"
local json = require "tokencache.json"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"
local token_info = require "bench.token_info"

local OURS, RAW = "build/bench/saved-ours", "build/bench/saved-raw"

return function(rounds)
  process.run { "rm", "-rf", OURS, RAW }
  process.run { "mkdir", OURS, RAW }
  local bytes = #json.encode(token_info)
  local ours = contest.enter("lua5.4", lua.run("lua5.4", "bench/save/save.lua", OURS .. "/token"))
  local raw = contest.enter("in C", ("build/bench/save/raw %s %d"):format(RAW, bytes))
  contest.run({ ours, raw }, { rounds = rounds, seconds = 0.01 })
  report.ratio("durable save, lua5.4", ours, raw, { most = 1.2 })
  process.run { "rm", "-rf", OURS, RAW }
end
