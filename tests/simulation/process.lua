--- A virtual process: its coroutines, its clocks, its io table, and its flows over the store.

local front = require "simulation.front"
local keeper = require "simulation.keeper"
local new_handler = require "simulation.handler"
local process_state = require "tokencache.account.process"
local tokencache = require "tokencache"

---@class simulation.Process
---@field name string
---@field tasks table<simulation.Task, true>
---@field is_dead boolean
---@field stopped_until number
---@field clock { offset: number }  seconds by which it is ahead
---@field is_worker? boolean  of the nginx
---@field front? table  before the store
---@field asked table<string, number>  when the first flow was last asked for an account
---@field keeps_fresh? table  its options; running: requests; since: when the last renewal began
---@field knows table<string, string>  refresh tokens that it must not send any more, and why
local Process = {}
Process.__index = Process

local Waiter = {}
Waiter.__index = Waiter

function Waiter:wait(seconds)
  if self.woken then
    return true
  end
  local world = self.world
  local task = world.current
  self.waits[#self.waits + 1] = { task = task, turn = task.turn + 1 }
  world:pause(seconds)
  return self.woken
end

function Waiter:wake()
  self.woken = true
  for _, wait in ipairs(self.waits) do
    if wait.task.turn == wait.turn then -- else its time was over before
      self.world:rouse(wait.task)
    end
  end
  self.waits = {}
end

local function new_io(self, has_timers, has_waiters)
  local world = self.world
  local state = process_state.new()
  state.is_closed_with_care = true -- nothing more at the end of this Lua
  local io = {
    process = state,
    now = function() return world:unix_time() + self.clock.offset end,
    monotonic = function() return world.now + self.monotonic_offset end,
    sleep = function(seconds)
      world:pause(seconds + world.random:number() * 1e-4)
      return true
    end,
    random = function(count)
      return (("x"):rep(count):gsub(".", function()
        return string.char(world.random:integer(0, 255))
      end))
    end,
  }
  if has_timers then
    io.after = function(seconds, fn)
      if world.random:chance(world.faults.no_timer) then
        world:note("after", "no timer is to be had")
        self.lacked_timer = true
        return nil, "no timer is to be had"
      end
      self.timers = self.timers + 1
      local task = world:spawn(self, "timer" .. self.timers,
        seconds + world.random:number() * 1e-4, fn)
      if seconds == 0 then
        task.call = world.current.call -- it goes on with what the caller has begun
      end
      return true
    end
  end
  if has_waiters then
    io.new_waiter = function()
      return setmetatable({ world = world, waits = {}, woken = false }, Waiter)
    end
  end
  return io
end

local function new_flow(self)
  local world = self.world
  return tokencache.flow.authorization_code {
    provider = world.provider.description,
    client_id = "client", client_secret = "secret",
    redirect_uri = "https://app.example.com/callback",
    store = self.store,
    http = world.provider:transport(world.random:chance(0.7)),
    authorize = false,
    on_invalid_grant = world.keeps_dead and "keep" or nil,
    timeout = world.timeout,
    io = self.io,
  }
end

--- Notes that a flow is asked for an account.
function Process:note_asked(flow, key)
  self.asked[key] = flow == self.flows[1] and self.world.now or self.asked[key] or -1
end

--- The account of one of its flows, and that flow.
---@param key string
function Process:account(key)
  local world = self.world
  local flow = self.flows[world.random:integer(1, #self.flows)]
  self:note_asked(flow, key)
  return flow:account(world.store.kind.handlers and new_handler(self.store, key) or key), flow
end

--- Kills it: nothing of it runs any more, and nothing it knew is known.
function Process:kill()
  self.is_dead = true
  self.world:note("killed", self.name)
  self.world.truth:on_death(self)
end

--- Nothing of it runs for some seconds; its clocks go on.
function Process:stop(seconds)
  self.stopped_until = math.max(self.stopped_until, self.world.now + seconds)
  self.stopped_seconds = self.stopped_seconds + seconds
  self.world:note("stopped", self.name, ("for %.1f s"):format(seconds))
  self.world.truth:on_stop(self, seconds)
end

--- Sets its clock; the workers of an nginx have the same one.
---@param offset number  seconds
function Process:set_clock(offset)
  self.clock.offset = offset
end

---@param world table
return function(world)
  local random = world.random
  local self = setmetatable({ world = world, name = "p" .. (#world.processes + 1), tasks = {},
    is_dead = false, stopped_until = 0, stopped_seconds = 0, clock = { offset = 0 },
    monotonic_offset = random:between(0, 1000), timers = 0, clients = 0, knows = {},
    known_spent = {}, spent_lists = {}, locks = {}, asked = {} }, Process)
  self.is_worker = world.has_workers and world.random_kind:chance(0.7)
  if self.is_worker then
    self.clock, self.monotonic_offset = world.workers_clock, 0
  end
  self.has_timers = random:chance(0.65) or self.is_worker
  self.io = new_io(self, self.has_timers, random:chance(0.6))
  self.store = front.store_of(self)
  self.flows = { new_flow(self) }
  if random:chance(0.2) then
    self.flows[2] = new_flow(self)
  end
  world.processes[#world.processes + 1] = self
  world:note("process", self.name, self.has_timers and "with timers" or "without timers",
    self.io.new_waiter and "with waiters" or "", #self.flows, "flows",
    self.is_worker and "a worker of nginx" or "", self.front and "a front" or "")
  if self.has_timers and world.has_keepers and world.random_more:chance(0.7) then
    keeper.start(self, world.random_more)
  end
  return self
end
