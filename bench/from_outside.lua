--- Figures of a cache outside of the process: a fresh token, as a flow takes it and as the handler
--- gives it, in each interpreter, against the least that brings its bytes here.

local contest = require "bench.contest"
local lua = require "bench.lua_command"
local report = require "bench.report"

---@class OutsideCase
---@field name string         "token from Redis"
---@field directory string    "bench/redis": raw.c and take.lua are there
---@field place string|integer  where the token is: the last argument of both
---@field floor string        what raw.c uses
---@field seconds number      of a turn
---@field aim table           for report.ratio
---@field info_name string    of the second figure, the handler's
---@field info_aim? table

---@param rounds integer
---@param case OutsideCase
return function(rounds, case)
  local raw = contest.enter(case.floor, ("build/%s/raw %s"):format(case.directory, case.place))
  local contestants = { raw }
  for _, interpreter in ipairs(lua.interpreters) do
    for _, what in ipairs { "token", "token_info" } do
      contestants[#contestants + 1] = contest.enter(interpreter,
        lua.run(interpreter, case.directory .. "/take.lua", what, case.place))
    end
  end
  contest.run(contestants, { rounds = rounds, seconds = case.seconds })
  for i, interpreter in ipairs(lua.interpreters) do
    report.ratio(case.name .. ", " .. interpreter, contestants[2 * i], raw, case.aim)
    report.ratio("  " .. case.info_name, contestants[2 * i + 1], raw, case.info_aim)
  end
end
