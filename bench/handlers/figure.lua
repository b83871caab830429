--- A handler for each of 100,000 users over one store: how long one takes to make, collecting the
--- old ones included, and how many bytes it is.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

local function bytes_each(interpreter)
  local pipe = assert(io.popen(lua.run(interpreter, "bench/handlers/new.lua", "bytes")))
  local bytes = assert(pipe:read("*n"))
  pipe:close()
  return bytes
end

return function(rounds)
  local contestants = {}
  for i, interpreter in ipairs(lua.interpreters) do
    contestants[i] = contest.enter(interpreter, lua.run(interpreter, "bench/handlers/new.lua"))
  end
  contest.run(contestants, { rounds = rounds, seconds = 0.02 })
  for i, interpreter in ipairs(lua.interpreters) do
    report.value("handler for a user, " .. interpreter, "us", contestants[i].times, 1)
    report.value("  its size", "bytes", { bytes_each(interpreter) }, 300)
  end
end
