--- The lock on a cache handler that one run of the flow engine holds.
---
--- A lock that can be extended is taken for a short time and extended while work goes on under it:
--- so the others need not wait long after its holder has died. One that cannot is taken for as long
--- as the run may last. No pcall here: a handler may yield.

local errors = require "tokencache.error"
local log = require "tokencache.log"

local LIFE = 10       -- seconds
local INTERVAL = 3    -- seconds between two extensions
local LONGEST = 86400 -- seconds: a life to come to an end, however long the run may last

---@class tokencache.Lock
---@field extends boolean          it must be extended while it is held
---@field private cache table
---@field private monotonic fun(): number  seconds
---@field private handle? any      plain data
---@field private guard? any       releases the lock when it is collected, if nothing else did
---@field private whole? integer   seconds that outlast the run
---@field private warned boolean
---@field private lost boolean
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

--- The reason is part of the id: another reason is news, and another account's lock is not.
---@param what string
---@param err? any  nil: the lock has ended
local function warn(what, err)
  local reason = err ~= nil and tostring(errors.wrap("cache", err)) or "it has ended"
  log.repeated("warning", "lock: " .. what .. ": " .. reason, "the cache's lock ", what, ": ",
    reason)
end

--- Tries once.
---@param seconds number   that outlast the run
---@return boolean?  false: another holds it; nil: there is none to be had
function Lock:try(seconds)
  local cache, whole = self.cache, math.ceil(math.min(seconds, LONGEST))
  local extends = cache.extend_lock and true or false
  local since = extends and self.monotonic() or nil
  local handle, other = cache:try_lock(extends and LIFE or whole)
  if handle then
    self.extends, self.handle, self.guard = extends, handle, other
    self.whole, self.warned, self.lost, self.since = whole, false, false, since
    return true
  elseif other ~= nil then
    warn("failed, going on without it", other)
    return nil
  end
  return false
end

--- Work goes on either way: what is under way cannot be taken back.
local function extend(self, seconds)
  if self.lost then
    return
  end
  local since = self.monotonic()
  local held, err = self.cache:extend_lock(self.handle, seconds)
  if held then
    self.since = since
    return
  end
  self.lost = err == nil
  if not self.warned then
    self.warned = true
    warn("could not be extended, another process may take it", err)
  end
end

--- Whether the lock is known to have ended. Where work under it has been slow, it is asked.
---@return boolean
function Lock:has_ended()
  if self.extends and self.monotonic() - self.since >= INTERVAL then
    extend(self, LIFE)
  end
  return self.extends and self.lost
end

--- Sees to it that the lock lasts while a request is under way.
---@param transport tokencache.Transport
---@param request tokencache.HttpRequest  gets a heartbeat where the transport can keep one
function Lock:cover(transport, request)
  if not self.extends then
    return
  end
  if not transport.heartbeats then
    extend(self, self.whole)
    return
  end
  request.heartbeat_interval = INTERVAL
  function request.heartbeat()
    extend(self, LIFE)
  end
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
