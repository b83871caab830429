--- Time and what runs in it: virtual processes with coroutines. What is due first runs next.
--- All that takes time takes a time drawn from the seed, so the seed decides who runs before whom.

local random = require "simulation.random"

local World = {}
World.__index = World

local EPOCH = 1800000000 -- Unix seconds at the beginning of a schedule
local MOST_STEPS = 60000

---@class simulation.Task
---@field process simulation.Process
---@field name string
---@field thread thread
---@field turn integer     events for earlier turns are stale
---@field began number     when it was started
---@field gone? boolean    it was dropped
---@field looked_at? number  when it last read an entry of the store
---@field asked_store_at? number  when it last sent the store something

local function sift_up(heap, at, event)
  while at > 1 do
    local parent = (at - at % 2) / 2
    local other = heap[parent]
    if other.time < event.time or (other.time == event.time and other.serial < event.serial) then
      break
    end
    heap[at] = other
    at = parent
  end
  heap[at] = event
end

local function is_before(a, b)
  return a.time < b.time or (a.time == b.time and a.serial < b.serial)
end

local function pop(self)
  local heap, count = self.heap, self.count
  local first, last = heap[1], heap[count]
  heap[count] = nil
  count = count - 1
  self.count = count
  if count == 0 then
    return first
  end
  local at = 1
  while true do
    local child = 2 * at
    if child > count then
      break
    elseif child < count and is_before(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if not is_before(heap[child], last) then
      break
    end
    heap[at] = heap[child]
    at = child
  end
  heap[at] = last
  return first
end

local function push(self, event)
  self.serial = self.serial + 1
  event.serial = self.serial
  self.count = self.count + 1
  sift_up(self.heap, self.count, event)
end

--- Calls a function of the world's own at a time.
function World:at(time, fn)
  push(self, { time = time, fn = fn })
end

--- Starts a coroutine of a process.
---@return simulation.Task
function World:spawn(process, name, seconds, fn)
  local task = { process = process, name = name, thread = coroutine.create(fn), turn = 1,
    began = self.now }
  process.tasks[task] = true
  push(self, { time = self.now + seconds, task = task, turn = 1 })
  return task
end

--- Lets the coroutine that runs wait.
function World:pause(seconds)
  local task = self.current
  local turn = task.turn + 1
  task.turn = turn
  push(self, { time = self.now + seconds, task = task, turn = turn })
  return coroutine.yield()
end

--- Ends the pause of a coroutine early.
function World:rouse(task)
  if not task.process.tasks[task] then
    return -- it has ended
  end
  task.turn = task.turn + 1
  push(self, { time = self.now + self.random:number() * 1e-4, task = task, turn = task.turn })
end

local function run(self, event)
  local task = event.task
  local process = task.process
  if task.turn ~= event.turn or task.gone or process.is_dead then
    return
  elseif process.stopped_until > self.now then
    event.time = process.stopped_until + self.random:number() * 1e-3
    return push(self, event)
  end
  self.current = task
  local ok, problem = coroutine.resume(task.thread)
  self.current = nil
  if coroutine.status(task.thread) == "dead" then
    process.tasks[task] = nil
  end
  if not ok then
    self:fail("a coroutine has raised: " .. debug.traceback(task.thread, tostring(problem)))
  end
end

--- Runs what is due up to a time, or to the first violation.
function World:run(until_)
  while self.count > 0 and self.heap[1].time <= until_ and not self.violation do
    local event = pop(self)
    self.now = event.time
    if event.fn then
      event.fn()
    else
      run(self, event)
    end
    self.steps = self.steps + 1
    if self.steps > MOST_STEPS then
      self:fail("it does not come to rest")
    end
  end
  self.now = math.max(self.now, until_)
end

--- Counts what processes ask of the store and the provider; at some of it a disaster strikes.
function World:count_operation()
  local count = self.operations + 1
  self.operations = count
  local strike = self.strikes[count]
  if strike then
    strike(self.current)
  end
end

function World:unix_time()
  return EPOCH + self.now
end

--- Notes what was seen that must not be. The first one counts.
function World:fail(what)
  self.violation = self.violation or what
  self:note("VIOLATION", what)
end

--- A line of the history, where one is kept.
function World:note(what, ...)
  local history = self.history
  if not history then
    return
  end
  local task, parts = self.current, { ... }
  for i = 1, select("#", ...) do
    parts[i] = tostring(parts[i])
  end
  history[#history + 1] = ("%11.4f  %-3s %-9s %s %s"):format(self.now,
    task and task.process.name or "-", task and task.name or "-", what, table.concat(parts, " "))
end

---@param seed integer
---@param history? string[]  lines are added to it
return function(seed, history)
  return setmetatable({ seed = seed, random = random(seed), now = 0, heap = {}, count = 0,
    serial = 0, steps = 0, processes = {}, operations = 0, strikes = {}, history = history }, World)
end
