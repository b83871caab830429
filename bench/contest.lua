--- Contests between processes that do the same in different ways. All stay alive and take turns in
--- many short rounds, one round in their order, the next in the reverse, so that whatever else the
--- machine does touches all of them alike.
---
---     local ours = contest.enter("lua5.4", "lua5.4 bench/memory/token.lua")
---     local raw = contest.enter("in C", "build/bench/memory/raw")
---     contest.run({ ours, raw }, { rounds = 101, seconds = 0.005 })
---     ours.times  -- seconds for one, by round

local process = require "support.process"

local contest = {}

---@class Contestant
---@field name string     for the report
---@field times number[]  seconds for one, by round

--- Starts a contestant: a shell line that reads and answers as bench/contestant.lua does.
---@param name string
---@param line string
---@return Contestant
function contest.enter(name, line)
  local directory = process.temporary_directory()
  local fifo = directory .. "/answers"
  assert(os.execute("mkfifo " .. fifo))
  local self = { name = name, times = {} }
  self.to = assert(io.popen("exec " .. line .. " >" .. fifo, "w"))
  self.from = assert(io.open(fifo, "r"))
  process.remove_directory(directory)
  return self
end

local function turn(self, times)
  self.to:write(times, "\n")
  self.to:flush()
  local seconds = tonumber(self.from:read("*l"))
  if not seconds then
    error(self.name .. ": the contestant gave up", 0)
  end
  return seconds
end

--- How many times take about that long.
local function calibrate(self, seconds)
  local times = 1
  while turn(self, times) < seconds / 2 do
    times = times * 2
  end
  return times
end

--- Each contestant has one turn a round, of about `seconds`, and leaves at the end.
---@param contestants Contestant[]
---@param options { rounds: integer, seconds: number, between?: fun() }  between: called after
---   each round
function contest.run(contestants, options)
  local times = {}
  for i, contestant in ipairs(contestants) do
    times[i] = calibrate(contestant, options.seconds)
  end
  for round = 1, options.rounds do
    for position = 1, #contestants do
      local i = round % 2 == 1 and position or #contestants + 1 - position
      contestants[i].times[round] = turn(contestants[i], times[i]) / times[i]
    end
    if options.between then
      options.between()
    end
  end
  for _, contestant in ipairs(contestants) do
    contestant.to:close()
    contestant.from:close()
  end
end

return contest
