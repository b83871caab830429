--- Loading tokencache and making a flow, as whole processes, against an empty script.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

local SCRIPT, EMPTY = "bench/start/script.lua", "/dev/null"

local function enter(name, interpreter, script)
  return contest.enter(name, lua.environment(interpreter) .. " build/bench/start/spawn "
    .. interpreter .. " " .. script)
end

local function resident(interpreter, script)
  local pipe = assert(io.popen(lua.run(interpreter, "bench/start/resident.lua", script)))
  local kilobytes = assert(pipe:read("*n"), "the system does not tell what is resident")
  pipe:close()
  return kilobytes
end

local function measure_memory(interpreter, rounds)
  local ours, empty = {}, {}
  for round = 1, rounds do
    ours[round] = resident(interpreter, SCRIPT)
    empty[round] = resident(interpreter, EMPTY)
  end
  return ours, empty
end

return function(rounds)
  for _, interpreter in ipairs(lua.interpreters) do
    local ours = enter(interpreter, interpreter, SCRIPT)
    local empty = enter("empty script", interpreter, EMPTY)
    contest.run({ ours, empty }, { rounds = rounds, seconds = 0 })
    report.difference("start, " .. interpreter, "ms", ours.times, empty.name, empty.times, 3)
    local with, without = measure_memory(interpreter, math.ceil(rounds / 5))
    report.difference("  resident memory", "MB", with, empty.name, without, 1.5)
  end
end
