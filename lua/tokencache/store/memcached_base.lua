--- A store in memcached servers: everything but the way in which commands get there and replies
--- back.

local blocking = require "tokencache.blocking"
local can_save = require "tokencache.store.can_save"
local check_bytes = require "tokencache.store.check_bytes"
local errors = require "tokencache.error"
local keys = require "tokencache.store.memcached_key"
local lock_holder = require "tokencache.store.lock_holder"
local log = require "tokencache.log"
local reserved_key = require "tokencache.store.reserved_key"

--- memcached counts whole seconds by its own clock: an entry for one second may end at once.
local SHORTEST_LOCK = 2

---@class tokencache.MemcachedStore: tokencache.Store
---@field identity string  what is known of the servers by name
---@field private worker table<string, function>  the functions of tokencache.worker.memcached
---@field private options table  plain data
---@field private near? table     see tokencache.worker.memcached
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return "tokencache.store.memcached: " .. self.options.place
  end,
}

--- result; or nil, err
local function noted(self, result, note)
  if result == nil then
    return nil, note
  end
  if note then
    log.debug(self.options.place, ": the connection to memcached was lost; made a new one")
  end
  return result
end

local memcached, here = blocking.worker "memcached"

function Store:get(key)
  local near, bytes, note = self.near
  if near and key == near.key then
    bytes, note = near.client:get(near.place)
  else
    bytes, note = self.worker.get(self.options, key)
    self.near = here and self.worker.near(self.options)
  end
  if note and noted(self, bytes, note) == nil then
    return nil, note
  end
  return bytes or nil
end

function Store:set(key, bytes, ttl)
  check_bytes("store.memcached", bytes)
  return noted(self, self.worker.set(self.options, key, bytes, ttl))
end

function Store:delete(key)
  return errors.done(noted(self, self.worker.delete(self.options, key)))
end

--- Compares and sets in one step; the lock is looked at before that, see
--- tokencache.worker.memcached.
function Store:replace(key, old, bytes, ttl, handle)
  check_bytes("store.memcached", bytes, "replace", old)
  return noted(self, self.worker.replace(self.options, handle, key, old, bytes, ttl))
end

--- Takes the seconds that the entry is to have: what it has left, memcached does not tell.
Store.can_save = can_save

local function lock_ttl(ttl)
  return math.max(SHORTEST_LOCK, math.ceil(ttl))
end

function Store:try_lock(name, ttl)
  local place, handle, holder, err
  place, err = keys.lock(name)
  if not place then
    return nil, err
  end
  handle, err = reserved_key.new_handle(place)
  if not handle then
    return nil, err
  end
  holder, err = noted(self, self.worker.lock(self.options, place, handle.owner, lock_ttl(ttl)))
  if holder == nil then
    return nil, err
  elseif holder == handle.owner then
    return handle
  end
  return lock_holder.busy(holder)
end

function Store:extend_lock(handle, ttl)
  return self.worker.keep(self.options, handle.name, handle.owner, handle.owner, lock_ttl(ttl))
end

--- The same, for a token that could not be saved: try_lock tells the others so.
function Store:keep_lock(handle, ttl)
  return self.worker.keep(self.options, handle.name, handle.owner, handle.owner .. lock_holder.OWED,
    lock_ttl(ttl))
end

function Store:unlock(handle)
  return errors.done(self.worker.keep(self.options, handle.name, handle.owner))
end

--- Options may put a namespace before the keys, or name the servers.
local function identity_of(checked)
  local options = checked.options and " " .. checked.options or ""
  return "memcached:" .. checked.place .. options
end

---@param checked table  from tokencache.store.memcached_options: plain data
---@param worker? table<string, function>  default: tokencache.worker.memcached
---@return tokencache.MemcachedStore
return function(checked, worker)
  return setmetatable({
    worker = worker or memcached,
    options = checked,
    identity = identity_of(checked),
  }, metatable)
end
