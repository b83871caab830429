--- A store that all virtual processes share. Each operation takes a time; it may fail before or
--- after it took effect, and the whole store may go back to an older state.

local ending = require "simulation.ending"

local Store = {}
Store.__index = Store

local LONGEST = 2 -- seconds that an operation takes at most
Store.LONGEST = LONGEST

local FAILURE = "the virtual store is away"
local ROOM = 1024 -- bytes by which can_save makes an entry longer

local GROUPS = {
  try_lock = "lock", extend_lock = "lock", keep_lock = "lock", unlock = "lock",
  get = "entry", delete = "entry", keys = "entry",
  set = "write", replace = "write", can_save = "write",
}

--- Whether an outage keeps this operation from taking place.
local function is_out(self, method, process)
  local group, now, outages = GROUPS[method], self.world.now, self.world.faults.outages
  for i = 1, #outages do
    local outage = outages[i]
    if now >= outage.from and now < outage.to and outage[group]
      and (not outage.process or outage.process == process.name) then
      return true
    end
  end
  return false
end

local function fate_of(self, method, process)
  local random, faults = self.world.random, self.world.faults
  if is_out(self, method, process) and (not self.kind.flock or method ~= "unlock") then
    return "before"
  elseif faults.store == 0 or not random:chance(faults.store) then
    return "ok"
  end
  if self.kind.flock and GROUPS[method] == "lock" then
    return method == "try_lock" and "before" or "ok" -- the kernel answers at once
  end
  return random:chance(0.5) and "before" or "after"
end

local function latency(self)
  local random = self.world.random
  if random:chance(self.world.faults.slow) then
    return random:between(0, LONGEST)
  end
  return random:between(0.0002, 0.003)
end

--- Carries out an operation on behalf of the coroutine that runs.
local function perform(self, method, key, effect, a, b, c, d)
  local world = self.world
  local task = world.current
  world:count_operation()
  local fate = fate_of(self, method, task.process)
  local seconds = latency(self)
  task.asked_store_at = self.world.now
  local first = seconds * (world.random:chance(0.6) and 1 or world.random:number())
  world:pause(first)
  local result, more
  if fate ~= "before" then
    result, more = effect(self, key, task, a, b, c, d)
  end
  if world.history then
    world:note(method, key, fate == "before" and "fails" or self.shown(result),
      fate == "after" and "and the reply is lost" or "")
  end
  if first < seconds then
    world:pause(seconds - first)
  end
  if fate == "ok" then
    return result, more
  end
  world.truth.on_store_failure(task, method, key, fate)
  return nil, FAILURE
end

function Store.shown(value)
  if type(value) == "table" then
    return "lock " .. tostring(value.serial)
  elseif type(value) == "string" then
    local access, refresh = value:match("at%-%d+"), value:match("rt%-%d+")
    return (access or value) .. " " .. (refresh or "") .. (value:match(" $") and " padded" or "")
  end
  return tostring(value)
end

local function lookup(self, key)
  local entry = self.entries[key]
  if entry and entry.ends and entry.ends <= self.world.now then
    self.entries[key] = nil
    return nil
  end
  return entry and entry.bytes
end

local function put(self, key, bytes, ttl)
  if self.world.history then
    self.world:note("  put", key, self.shown(bytes))
  end
  self.world.truth:on_put(key, bytes)
  self.entries[key] = { bytes = bytes, ends = ttl and self.world.now + ttl }
  return true
end

--- The lock that is in force.
local function holder(self, name)
  local lock = self.locks[name]
  if lock and lock.ends <= self.world.now then
    lock.ended = "ttl"
    self.locks[name] = nil
    return nil
  end
  return lock
end

local effects = {}

function effects.get(self, key, task)
  task.looked_at = self.world.now
  return lookup(self, key)
end

function effects.set(self, key, _, bytes, ttl)
  return put(self, key, bytes, ttl)
end

function effects.delete(self, key)
  ending.on_removal(self.world, key)
  self.entries[key] = nil
  return true
end

local function may_replace(self, key, old, handle)
  local lock = handle and holder(self, handle.name)
  return (not lock or lock.serial == handle.serial) and lookup(self, key) == old
end

function effects.replace(self, key, _, old, bytes, ttl, handle)
  if not may_replace(self, key, old, handle) then
    return false
  elseif bytes == nil then
    return effects.delete(self, key)
  end
  return put(self, key, bytes, ttl)
end

function effects.can_save(self, key, task, bytes, ttl, handle)
  task.looked_at = self.world.now
  if not may_replace(self, key, bytes, handle) then
    return false
  elseif self.kind.can_save_anew then
    return bytes -- it only tries to make a file of the size
  end
  local stripped = bytes:gsub(" +$", "")
  local padded = stripped .. (" "):rep(ROOM)
  put(self, key, padded, ttl)
  return padded
end

function effects.try_lock(self, name, task, ttl)
  local held = holder(self, name)
  if held then
    return false, held.owed
  end
  self.serial = self.serial + 1
  local lock = { name = name, serial = self.serial, process = task.process, task = task,
    granted = self.world.now, ends = self.world.now + ttl }
  if self.kind.flock then
    lock.ends = math.huge
  end
  self.locks[name] = lock
  self.world.truth:on_lock(lock)
  local handle = { name = name, serial = self.serial }
  return handle, self.kind.flock and { serial = self.serial } or nil
end

function effects.extend_lock(self, name, _, handle, ttl)
  local lock = holder(self, name)
  if not lock or lock.serial ~= handle.serial then
    return false
  end
  lock.ends, lock.owed = self.world.now + ttl, nil
  return true
end

function effects.keep_lock(self, name, task, handle, ttl)
  local lock = holder(self, name)
  local ends = lock and lock.ends
  if not effects.extend_lock(self, name, task, handle, ttl) then
    return self.kind.flock or false
  end
  lock.ends, lock.owed = self.kind.flock and ends or lock.ends, "owed"
  return true
end

function effects.unlock(self, name, _, handle)
  local lock = holder(self, name)
  if lock and lock.serial == handle.serial then
    lock.ended = "unlocked"
    self.locks[name] = nil
  end
  return true
end

--- The object that flows get, with the methods that a store of this kind has.
local function new_object(self)
  local kind = self.kind
  local object = { can_save_anew = kind.can_save_anew }
  function object.get(_, key)
    return perform(self, "get", key, effects.get)
  end
  function object.set(_, key, bytes, ttl)
    return perform(self, "set", key, effects.set, bytes, ttl)
  end
  function object.delete(_, key)
    return perform(self, "delete", key, effects.delete)
  end
  if kind.replace then
    function object.replace(_, key, old, bytes, ttl, handle)
      return perform(self, "replace", key, effects.replace, old, bytes, ttl, handle)
    end
  end
  if kind.can_save then
    function object.can_save(_, key, bytes, ttl, handle)
      return perform(self, "can_save", key, effects.can_save, bytes, ttl, handle)
    end
  end
  if kind.lock then
    function object.try_lock(_, name, ttl)
      local handle, guard = perform(self, "try_lock", name, effects.try_lock, ttl)
      if handle then
        self.world.truth.on_locked(self.world.current, handle)
      elseif handle == false then
        self.world.truth.on_busy(self.world.now, self.world.current, guard)
      end
      return handle, guard
    end
    function object.unlock(_, handle)
      self.world.truth.on_release(self.world.now, self.world.current, handle)
      return perform(self, "unlock", handle.name, effects.unlock, handle)
    end
  end
  for _, name in ipairs { "extend_lock", "keep_lock" } do
    if kind.extend or kind.flock and name == "keep_lock" then
      object[name] = function(_, handle, ttl)
        local held, err = perform(self, name, handle.name, effects[name], handle, ttl)
        self.world.truth.on_asked(self.world.now, self.world.current, handle, held)
        return held, err
      end
    end
  end
  return object
end

--- What is at a key, for the world's own eyes.
---@return string? refresh_token
function Store:refresh_token_at(key)
  local bytes = lookup(self, key)
  return bytes and bytes:match("rt%-%d+") or ""
end

function Store:snapshot()
  local copy = {}
  for key, entry in pairs(self.entries) do
    copy[key] = entry
  end
  self.saved = copy
end

--- Brings back what was there at the last snapshot; locks are gone.
function Store:restore()
  local entries = {}
  for key, entry in pairs(self.saved) do
    entries[key] = entry
  end
  self.entries = entries
  if not self.kind.flock then
    for _, lock in pairs(self.locks) do
      lock.ended = "restored"
    end
    self.locks = {}
  end
  self.world:note("store", "goes back to an older state")
  self.world.truth:on_restore()
end

--- A process has died: what the kernel holds for it ends with it.
function Store:on_death(process)
  if self.kind.flock then
    for name, lock in pairs(self.locks) do
      if lock.process == process then
        lock.ended = "died"
        self.locks[name] = nil
      end
    end
  end
end

Store.HANDLERS = {
  { 2, { name = "handlers", lock = true, extend = true, handlers = true } },
  { 1, { name = "handlers without locks", handlers = true } },
}

Store.KINDS = {
  { 60, { name = "full", lock = true, extend = true, replace = true, can_save = true } },
  { 8, { name = "without replace", lock = true, extend = true, can_save = true } },
  { 8, { name = "without can_save", lock = true, extend = true, replace = true } },
  { 8, { name = "without extend_lock", lock = true, replace = true, can_save = true } },
  { 8, { name = "files", lock = true, flock = true, replace = true, can_save = true,
    can_save_anew = true } },
  { 8, { name = "without locks" } },
}

local function new(world, kind)
  local self = setmetatable({ world = world, kind = kind, entries = {}, locks = {}, saved = {},
    serial = 0 }, Store)
  self.object = new_object(self)
  world:note("store", kind.name)
  return self
end

return setmetatable({ KINDS = Store.KINDS, HANDLERS = Store.HANDLERS, LONGEST = LONGEST },
  { __call = function(_, world, kind) return new(world, kind) end })
