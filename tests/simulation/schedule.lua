--- One schedule: a world drawn from a seed, some minutes with faults, then quiet, then everybody
--- asks again.

local nginx = require "simulation.nginx" -- first: others load what it loads in its own way

local client = require "simulation.client"
local judge = require "simulation.judge"
local new_process = require "simulation.process"
local new_provider = require "simulation.provider"
local new_store = require "simulation.store"
local new_truth = require "simulation.truth"
local new_world = require "simulation.world"
local new_random = require "simulation.random"

local QUIET = 150     -- seconds without calls and faults: who was stopped goes on, locks end, debts
                      -- are paid
local MOST_ROUNDS = 5 -- of calls until nothing is owed any more

local function no_faults()
  return { store = 0, slow = 0, outages = {}, slow_provider = 0, unwilling = 0, unsent = 0,
    lost = 0, no_timer = 0, full = 0 }
end

--- Half of the kinds of faults do not occur in a schedule, so that the others have more room.
local function draw_faults(world)
  local random, faults = world.random, no_faults()
  local function sometimes(name, most)
    if random:chance(0.35) then
      faults[name] = random:between(0, most)
    end
  end
  sometimes("store", 0.3)
  sometimes("slow", 0.3)
  sometimes("slow_provider", 0.6)
  sometimes("unwilling", 0.6)
  sometimes("unsent", 0.5)
  sometimes("lost", 0.4)
  sometimes("no_timer", 0.2)
  return faults
end

local OUTAGES = {
  { 3, { write = true } }, { 2, { entry = true, write = true, lock = true } },
  { 1, { lock = true } }, { 1, { entry = true, write = true } },
}

local function draw_outages(world, length)
  local random = world.random
  while random:chance(0.35) do
    local kinds = random:weighted(OUTAGES)
    local from = random:between(0, length)
    local outage = { from = from, to = from + random:pick { 2, 10, 40 } * random:number() }
    for group in pairs(kinds) do
      outage[group] = true
    end
    if random:chance(0.4) then
      outage.process = random:pick(world.processes).name
    end
    world.faults.outages[#world.faults.outages + 1] = outage
    world:note("outage", ("from %.2f to %.2f"):format(outage.from, outage.to),
      outage.process or "for all", outage.lock and "lock" or "", outage.entry and "entry" or "",
      outage.write and "write" or "")
  end
end

local function any_alive(world)
  local process = world.random:pick(world.processes)
  return not process.is_dead and process or nil
end

--- The client whose call it is.
local function client_of(process, call)
  for task in pairs(process.tasks) do
    if task.latest and task.call == call then
      return task
    end
  end
end

local function any_client(world)
  local process, list = any_alive(world), {}
  for task in pairs(process and process.tasks or {}) do
    if task.latest then
      list[#list + 1] = task
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list[1] and world.random:pick(list)
end

--- What happens to a process: to that of the coroutine which just asks for something, or to any.
local disasters = {}

function disasters.kill(world, task)
  local process = task and task.process or any_alive(world)
  if not process then
    return
  end
  for other in pairs(process.tasks) do
    if other.call then
      local account = world.accounts[other.call.account]
      account.is_unclear = account.is_unclear or other.call.is_login or other.call.is_log_out
    end
  end
  process:kill()
  if world.random:chance(0.7) then
    client.start(world, new_process(world))
  end
end

function disasters.stop(world, task)
  local process = task and task.process or any_alive(world)
  if process then
    process:stop(world.random:pick { 2, 8, 30 } * world.random:between(0.5, 1.5))
  end
end

function disasters.drop(world, task)
  if task then
    task = task.call and client_of(task.process, task.call)
  else
    task = any_client(world)
  end
  if task and not world.store.kind.flock then -- the collector would let go of the lock
    client.drop(world, task)
  end
end

function disasters.jump(world, task)
  local process = task and task.process or any_alive(world)
  if process then
    world.has_jumped = true
    local offset = process.clock.offset
      + world.random:pick { -100000, -100, -20, 20, 100, 100000 }
    process:set_clock(offset)
    world:note("clock", process.name, "jumps to", offset)
  end
end

function disasters.restore(world)
  world.store:restore()
end

local DISASTERS = { { 3, "kill" }, { 4, "stop" }, { 4, "drop" }, { 1, "jump" }, { 1, "restore" } }

--- Some come at a time, others at an operation: those find what is under way.
local function draw_disasters(world, length)
  local random = world.random
  world:at(random:between(0, length), function() world.store:snapshot() end)
  while random:chance(0.4) do
    local disaster = disasters[random:weighted(DISASTERS)]
    if random:chance(0.5) then
      world:at(random:between(0, length), function() disaster(world) end)
    else
      world.strikes[random:integer(1, 50)] = function(task) disaster(world, task) end
    end
  end
end

--- A worker that cannot write is gone, or stands still: the others know what it owes.
local function draw_lost_worker(world, length)
  local random = world.random_kind
  local worker = random:pick(world.processes)
  if not worker.is_worker or not random:chance(0.7) then
    return
  end
  local from = random:between(0, length)
  table.insert(world.faults.outages, { from = from, to = from + 60, process = worker.name,
    write = true })
  world:at(from + random:between(0, 30), function()
    if not worker.is_dead then
      disasters[random:pick { "kill", "stop" }](world, { process = worker })
    end
  end)
end

local function add_accounts(world)
  local random = world.random
  for i = 1, random:integer(1, 3) do
    local key = "user" .. i
    local account = { key = key, families = {}, changing = 0, bringing = 0, brought_at = -1,
      unread_by = {}, unsaved_by = {} }
    world.keys[i], world.accounts[key] = key, account
    if random:chance(0.9) then
      local bytes, family = world.provider:first_entry(key)
      world.store.entries[key] = { bytes = bytes }
      account.current, account.families[1] = family, family
      world:note("login", family.id, "of", key, "before the beginning")
    end
  end
  world.store:snapshot()
end

--- What was thought of later is drawn from numbers of its own, here and below: the schedules
--- without it stay what they are.
local function draw_store(world)
  local kind, more = world.random:weighted(new_store.KINDS), world.random_more
  if more:chance(0.06) then
    kind = more:weighted(new_store.HANDLERS)
  end
  world.has_fronts = not kind.handlers and more:chance(0.12)
  world.has_keepers = not kind.handlers and more:chance(0.15)
  return new_store(world, kind)
end

local function draw_kind(world, random)
  nginx.set(world, random:chance(0.2))
  if world.has_workers then
    world.faults.full = random:chance(0.2) and 0.3 or 0
    world.workers_clock, world.store.object.identity = { offset = 0 }, "the virtual store"
    world:note("nginx", "some processes are its workers")
  end
  world.keeps_dead = random:chance(0.1)
  world.random_kind = random
end

local function new(seed, history)
  local world = new_world(seed, history)
  local random = world.random
  world.truth = new_truth(world)
  world.timeout = random:pick { 4, 10, 30 }
  world.is_calm = random:chance(0.15)
  world.faults = world.is_calm and no_faults() or draw_faults(world)
  world.provider = new_provider(world, random:weighted { { 6, "strict" }, { 3, "grace" },
    { 1, "reuses" } })
  world.random_more = new_random(seed + 500000003)
  world.store = draw_store(world)
  world.keys, world.accounts, world.calls = {}, {}, {}
  draw_kind(world, new_random(seed + 1000000007))
  world.eagerness = random:pick { 0.005, 0.1, 5 }
  world.unrest = random:chance(0.4) and random:number() or 0
  local life = world.provider.expires_in - 60
  world.pauses = { { 3, 0.001 }, { 3, 1 }, { 3, life > 1000 and 1 or life }, { 1, 30 } }
  add_accounts(world)
  for _ = 1, random:integer(2, random:chance(0.2) and 5 or 3) do
    new_process(world)
  end
  for _, process in ipairs(world.processes) do
    for _ = 1, random:integer(1, 3) do
      client.start(world, process)
    end
  end
  return world
end

local function is_owing(world)
  for _, process in ipairs(world.processes) do
    if not process.is_dead and process.io.process.owing > 0 then
      return true
    end
  end
  return false
end

--- What all who are alive get when nothing fails any more. In a process without timers it takes a
--- call to save what is owed, and another's call may have the lock just then.
local function ask_again(world)
  world.faults, world.strikes = no_faults(), {}
  local is_anyone = false
  for _, process in ipairs(world.processes) do
    is_anyone = is_anyone or not process.is_dead
  end
  if not is_anyone then
    new_process(world)
  end
  world:run(world.now + QUIET)
  for round = 1, MOST_ROUNDS do
    world.is_settled = round > 1 and not is_owing(world)
    world:note("-- all works again; everybody asks")
    for _, process in ipairs(world.processes) do
      if not process.is_dead then
        client.start_final(world, process, world.random:between(0, round > 2 and 20 or 0.02))
      end
    end
    world:run(world.now + 40)
    if world.is_settled or world.violation then
      return
    end
  end
  world:fail("a token is still owed although all works again")
end

---@param seed integer
---@param history? string[]  gets a line for each step
---@return string? violation
return function(seed, history)
  local world = new(seed, history)
  local length = world.random:pick { 5, 20, 60 }
  if not world.is_calm then
    draw_outages(world, length)
    draw_disasters(world, length)
    draw_lost_worker(world, length)
  end
  world:run(length * 2)
  ask_again(world)
  if not world.violation then
    judge.finish(world)
  end
  return world.violation, world
end
