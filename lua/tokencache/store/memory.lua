--- A store in the memory of this Lua state: the tokens of many users, gone with the process.

local check_bytes = require "tokencache.store.check_bytes"
local lru = require "tokencache.lru"
local options = require "tokencache.options"

local serial = 0 -- of locks; no two in this Lua state have the same

---@class tokencache.MemoryStore: tokencache.Store
---@field private rows tokencache.Lru
---@field private locks tokencache.Lru  serials by name
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function()
    return "tokencache.store.memory"
  end,
}

---@param key string
---@return string?  nil: a miss
function Store:get(key)
  return self.rows:get(key)
end

---@param key string
---@param bytes string
---@param ttl? number  seconds; nil: for good
---@return true
function Store:set(key, bytes, ttl)
  check_bytes("store.memory", bytes)
  self.rows:set(key, bytes, ttl)
  return true
end

---@param key string
---@return true
function Store:delete(key)
  self.rows:delete(key)
  return true
end

local function holds(self, handle)
  return self.locks:get(handle.name) == handle.serial
end

--- The lock of this store in this Lua state; other processes do not see it.
---@param name string
---@param ttl number  seconds after which it ends by itself
---@return { name: string, serial: integer }|false handle  false: another holds the lock
function Store:try_lock(name, ttl)
  if self.locks:get(name) then
    return false
  end
  serial = serial + 1
  self.locks:set(name, serial, ttl)
  return { name = name, serial = serial }
end

---@param handle table  from try_lock
---@param ttl number    seconds from now
---@return boolean      false: the lock has ended
function Store:extend_lock(handle, ttl)
  if not holds(self, handle) then
    return false
  end
  self.locks:set(handle.name, handle.serial, ttl)
  return true
end

---@param handle table  from try_lock
---@return true
function Store:unlock(handle)
  if holds(self, handle) then
    self.locks:delete(handle.name)
  end
  return true
end

local RULES = {
  max_entries = { "number>0" },
}

---@param opts? { max_entries?: integer }  as many are kept, the least recently used goes first;
---   default: no limit
---@return tokencache.MemoryStore
return function(opts)
  local limit = options.check("store.memory", opts, RULES).max_entries
  if limit and limit % 1 ~= 0 then
    error("store.memory: max_entries must be a whole number, not " .. tostring(limit), 2)
  end
  return setmetatable({ rows = lru(limit), locks = lru() }, metatable)
end
