--- The lock on a cache handler that one run of the flow engine holds.
---
--- A lock that can be extended is taken for a short time and extended while work goes on under it:
--- so the others need not wait long after its holder has died. One that cannot is taken for as long
--- as the run may last. No pcall here: a handler may yield.

local errors = require "tokencache.error"
local log = require "tokencache.log"

local LIFE = 10       -- seconds
local INTERVAL = 3    -- seconds between two extensions
local FIRST_WAIT, LONGEST_WAIT = 0.02, 0.5 -- seconds before a busy lock is tried again
local LONGEST = 86400 -- seconds: a lock ends by then, however long the run may last

---@class tokencache.Lock
---@field extends boolean          it must be extended while it is held
---@field private cache table
---@field private monotonic fun(): number  seconds
---@field handle? any              plain data; nil: it is not held
---@field private guard? any       releases the lock when it is collected, if nothing else did
---@field private whole? integer   seconds that outlast the run
---@field private warned boolean
---@field private lost boolean
---@field private life? number      seconds that it was last taken or extended for
---@field private since? number     seconds, monotonic: when it was last taken or extended
local Lock = {}
Lock.__index = Lock

local lock = {}

---@param cache table  a cache handler that has locks
---@param monotonic fun(): number  seconds from some fixed point
---@return tokencache.Lock  not held yet; for one run at a time
function lock.new(cache, monotonic)
  return setmetatable({ cache = cache, monotonic = monotonic, extends = false, handle = nil,
    guard = nil, whole = nil, warned = false, lost = false, since = nil }, Lock)
end

--- Warns, and repeats the same reason only at intervals, whichever account's lock it is.
---@param what string
---@param err? any  nil: the lock has ended
local function warn(what, err)
  err = err ~= nil and errors.wrap("cache", err) or "it has ended"
  log.repeated("warning", errors.id("lock: " .. what, err), "the cache's lock ", what, ": ", err)
end

--- Tries once.
---@param seconds number   that outlast the run
---@return boolean?  false: another holds it; nil: there is none to be had
---@return tokencache.Error|"owed"|nil  why; "owed": the other keeps it for a token that it owes
function Lock:try(seconds)
  local cache, whole = self.cache, math.ceil(math.min(seconds, LONGEST))
  local extends = cache.extend_lock and true or false
  local since = self.monotonic()
  local handle, other = cache:try_lock(extends and LIFE or whole)
  if handle then
    self.extends, self.handle, self.guard = extends, handle, other
    self.whole, self.life = whole, extends and LIFE or whole
    self.warned, self.lost, self.since = false, false, since
    return true
  elseif other ~= nil and other ~= "owed" then
    return nil, errors.wrap("cache", other)
  end
  return false, other
end

--- Takes the lock for work outside of a run of the engine, and waits for it no longer than
--- `patience`.
---@param handler table   a cache handler that has locks
---@param io tokencache.Io
---@param seconds number  that outlast the work
---@param patience number seconds
---@return tokencache.Lock?
---@return tokencache.Error? err  nil without it: another holds the lock
function lock.wait(handler, io, seconds, patience)
  local held, ends, wait = lock.new(handler, io.monotonic), io.monotonic() + patience, FIRST_WAIT
  while true do
    local taken, err = held:try(seconds)
    if taken then
      return held
    elseif taken == nil or io.monotonic() + wait > ends then
      return nil, taken == nil and err or nil
    end
    local _
    _, err = io.sleep(wait)
    if err ~= nil then
      return nil, errors.wrap("config", err)
    end
    wait = math.min(wait * 1.5, LONGEST_WAIT)
  end
end

--- Extends the lock. If that fails, work goes on: a request under way cannot be taken back.
local function extend(self, seconds, method)
  if self.lost then
    return
  end
  local since = self.monotonic()
  local held, err = self.cache[method or "extend_lock"](self.cache, self.handle, seconds)
  if held then
    self.since, self.life = since, seconds
    return
  end
  self.lost = err == nil
  if not self.warned then
    self.warned = true
    warn("could not be extended, another process may take it", err)
  end
end

--- Reports whether the lock has ended, as far as is known: it was lost, or its time is over.
local function has_ended(self)
  return self.lost or (self.guard == nil and self.monotonic() - self.since >= self.life)
end

--- Reports whether the lock is still held, where nobody has extended it for a while. One of which
--- its store cannot tell may be: it is not let go of, and `cover` does not rely on it.
---@return boolean
function Lock:is_still_held()
  if self.handle ~= nil and self.extends then
    extend(self, LIFE)
    return not self.lost
  end
  return self.handle ~= nil and not has_ended(self)
end

--- Goes on with another handler of the same entry.
---@param cache table
function Lock:move(cache)
  if cache.unlock then
    self.cache, self.extends = cache, self.extends and cache.extend_lock ~= nil
  end
end

--- Sees to it that a lock which is held outlasts the work of another run.
---@param seconds number  that outlast the work
---@return boolean        false: it cannot
function Lock:outlast(seconds)
  self.whole = math.max(self.whole, math.ceil(math.min(seconds, LONGEST)))
  return self.extends or self.guard ~= nil
    or self.monotonic() - self.since + seconds <= self.life
end

--- Extends the lock, if it can be extended.
---@param seconds? number
---@param method? string
function Lock:prolong(seconds, method)
  if self.extends or method then
    extend(self, math.max(LIFE, seconds or 0), method)
  end
end

--- Extends the lock for a debt. Where it can, it tells the others who find it busy.
---@param seconds? number
function Lock:keep(seconds)
  self:prolong(seconds, self.cache.keep_lock and "keep_lock")
end

--- Sees to it that the lock lasts while a request is under way. Where work under it has been slow,
--- it is asked whether it still is held.
---@param transport tokencache.Transport
---@param request tokencache.HttpRequest  gets a heartbeat where the transport can keep one
---@return boolean has_ended  another may hold it by now
function Lock:cover(transport, request)
  if not self.extends then
    return self.handle ~= nil and has_ended(self)
  elseif not transport.heartbeats then
    extend(self, self.whole)
    return has_ended(self)
  elseif self.monotonic() - self.since >= INTERVAL then
    extend(self, LIFE)
  end
  request.heartbeat_interval = INTERVAL
  function request.heartbeat()
    extend(self, LIFE)
  end
  return has_ended(self)
end

--- Sleeps without losing the lock over it. At the end it is extended too: the request before had
--- no heartbeat if it was quick, and another follows.
---@param sleep fun(seconds: number): any, any
---@param seconds number
---@return any, any  what the last sleep returned
function Lock:sleep(sleep, seconds)
  if not self.extends then
    return sleep(seconds)
  end
  while true do
    local result, err = sleep(math.min(seconds, INTERVAL))
    seconds = seconds - INTERVAL
    if err ~= nil then
      return result, err
    end
    extend(self, LIFE)
    if seconds <= 0 then
      return result
    end
  end
end

function Lock:release()
  local _, err = self.cache:unlock(self.handle)
  self.extends, self.handle, self.guard = false, nil, nil
  if err ~= nil then
    warn("could not be released", err)
  end
end

return lock
