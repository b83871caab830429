--- get_access_token on a fresh token from memory.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local process = require "support.process"
local report = require "bench.report"

local GO = "build/bench/reuse_token_source"

return function(rounds)
  local contestants = {}
  local function enter(name, line)
    local contestant = contest.enter(name, line)
    contestants[#contestants + 1] = contestant
    return contestant
  end
  local ours, calls = {}, {}
  for _, interpreter in ipairs(lua.interpreters) do
    ours[interpreter] = enter(interpreter, lua.run(interpreter, "bench/memory/token.lua"))
    calls[interpreter] = enter("C call", lua.run(interpreter, "bench/memory/call.lua"))
  end
  local go = process.read_file(GO) and enter("Go", GO)

  contest.run(contestants, { rounds = rounds, seconds = 0.005 })
  for _, interpreter in ipairs(lua.interpreters) do
    local what = "token from memory, " .. interpreter
    if go then
      report.ratio(what, ours[interpreter], go, { wished = 1, most = 2 })
    else
      report.missing(what .. ", against Go",
        "Go and its x/oauth2 (golang-golang-x-oauth2-dev) are not installed")
    end
    report.ratio(what, ours[interpreter], calls[interpreter])
  end
end
