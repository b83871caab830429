-- Usage: lua tests/simulate.lua [SCHEDULES [SEED]]
-- Runs schedules of virtual processes over a virtual store and provider, drawn from SEED, SEED + 1
-- and so on, and prints TAP. A single one prints its history, as does the first that fails.
-- Then, unless it is a single one, each rule is taken out of the code in turn: the same schedules
-- must notice that.

local collector = require "support.collector"
local log = require "tokencache.log"
local schedule = require "simulation.schedule"
local without = require "simulation.without"

local MOST_WITHOUT = 20000 -- schedules in which the lack of a rule must be noticed

local count = tonumber((...)) or 20000
local first = tonumber((select(2, ...))) or os.time() % 1000000 * 1000

log.set_logger(false)
local compiler = package.loaded.jit -- on LuaJIT
if compiler then
  compiler.off() -- coroutines of a few steps each take twice as long where they are compiled
end
collector("pause", 400) -- a third of the time went into the collector

local function history_of(seed)
  local history = {}
  log.set_logger(function(level, message)
    history[#history + 1] = ("%24s %s: %s"):format("", level, message)
  end)
  local violation = schedule(seed, history)
  log.set_logger(false)
  return history, violation
end

local function print_history(history)
  for _, line in ipairs(history) do
    print("#" .. line)
  end
end

--- Whether the same seed gives the same history, or what is different.
local function is_reproducible(seed)
  return table.concat(history_of(seed), "\n") == table.concat(history_of(seed), "\n")
end

local function run_one()
  print "1..1"
  local history, violation = history_of(first)
  print_history(history)
  print((violation and "not ok 1 - " or "ok 1 - ") .. "seed " .. first
    .. (violation and ": " .. violation or ""))
  return not violation
end

local function run_all()
  for i = 0, count - 1 do
    local seed = first + i
    local violation = schedule(seed)
    if violation then
      print_history((history_of(seed)))
      print(("not ok 1 - after %d schedules (make simulate SCHEDULES=1 SEED=%d): %s"):format(i + 1,
        seed, violation))
      return false
    end
  end
  print(("ok 1 - %d schedules: no login is lost without a reason"):format(count))
  return true
end

local function run_without()
  local all_noticed = true
  for i, removal in ipairs(without.rules) do
    local taken, violation = without.count(removal, first, MOST_WITHOUT)
    all_noticed = all_noticed and taken ~= nil
    print(("%s %d - without the rule that %s: %s"):format(taken and "ok" or "not ok", i + 2,
      removal.rule, (taken and ("noticed after %d schedules: "):format(taken) or "")
      .. violation:match("^[^\n]*")))
  end
  return all_noticed
end

print(("# %s, %d schedules, seed %d"):format(_VERSION, count, first))
if count == 1 then
  os.exit(run_one())
end
print(("1..%d"):format(2 + #without.rules))
local passed = run_all()
local same = is_reproducible(first)
print((same and "ok" or "not ok") .. " 2 - the same seed makes the same history")
local noticed = passed and run_without()
os.exit(passed and same and noticed)
