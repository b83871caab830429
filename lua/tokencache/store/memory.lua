--- A store in the memory of this Lua state: the tokens of many users, gone with the process.

local check_bytes = require "tokencache.store.check_bytes"
local lru = require "tokencache.util.lru"
local options = require "tokencache.util.options"
local reserved_key = require "tokencache.store.reserved_key"

local PAGE = 200 -- entries that one call of `keys` looks at

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

function Store:get(key)
  return self.rows:get(key)
end

function Store:set(key, bytes, ttl)
  check_bytes("store.memory", bytes)
  self.rows:set(key, bytes, ttl)
  return true
end

function Store:delete(key)
  self.rows:delete(key)
  return true
end

local function holds(self, handle)
  return self.locks:get(handle.name) == handle.serial
end

--- Other processes do not see the lock.
function Store:try_lock(name, ttl)
  if self.locks:get(name) then
    return false
  end
  serial = serial + 1
  self.locks:set(name, serial, ttl)
  return { name = name, serial = serial }
end

function Store:extend_lock(handle, ttl)
  if not holds(self, handle) then
    return false
  end
  self.locks:set(handle.name, handle.serial, ttl)
  return true
end

function Store:unlock(handle)
  if holds(self, handle) then
    self.locks:delete(handle.name)
  end
  return true
end

--- Reports whether the entry is the expected one, and nobody else holds its lock. The caller's lock
--- may have ended, as long as nobody has taken it since.
local function may_replace(self, key, old, handle)
  local holder = handle and self.locks:get(handle.name)
  return (not holder or holder == handle.serial) and self.rows:get(key) == old
end

function Store:replace(key, old, bytes, ttl, handle)
  check_bytes("store.memory", bytes, "replace", old)
  if not may_replace(self, key, old, handle) then
    return false
  elseif bytes == nil then
    self.rows:delete(key)
  else
    self.rows:set(key, bytes, ttl)
  end
  return true
end

--- Memory always can save, so nothing is written.
function Store:can_save(key, bytes, _, handle)
  return may_replace(self, key, bytes, handle) and bytes
end

--- Each key that is there all the while comes once.
function Store:keys(prefix, cursor)
  local page, next_cursor = self.rows:page(PAGE, cursor)
  local keys = {}
  for _, key in ipairs(page) do
    if key:sub(1, #prefix) == prefix and not reserved_key.is_reserved(key) then
      keys[#keys + 1] = key
    end
  end
  return keys, next_cursor
end

local RULES = {
  max_entries = { "number>0" },
}

---@class tokencache.MemoryStoreOptions
---@field max_entries? integer  as many are kept, the least recently used goes first; default: no
---                            limit

---@param opts? tokencache.MemoryStoreOptions
---@return tokencache.MemoryStore
return function(opts)
  local limit = options.check("store.memory", opts, RULES).max_entries
  if limit and limit % 1 ~= 0 then
    error("store.memory: max_entries must be a whole number, not " .. tostring(limit), 2)
  end
  return setmetatable({ rows = lru(limit), locks = lru() }, metatable)
end
