--- A store in a shared dictionary of nginx (lua_shared_dict): shared by its workers, kept over a
--- reload, gone with nginx. It never waits, so it works in every phase.

local check_bytes = require "tokencache.store.check_bytes"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local lock_key = require "tokencache.store.lock_key"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local options = require "tokencache.options"

local PLACE = "shared dictionary"
local LEAST_TTL = 0.001 -- seconds; nginx takes 0 for ever
local SAFELY = 0.1      -- seconds that a lock must have left to be released by hand

local serial = 0 -- of the locks taken by this worker process

---@class tokencache.SharedDictStore: tokencache.Store
---@field private dict table
---@field private evict boolean
---@field private warned? boolean
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function()
    return "tokencache.store.shared_dict"
  end,
}

local function failure(message)
  if message == "no memory" then
    message = "no memory is left; enlarge the lua_shared_dict of the tokens"
  end
  return errors.new("cache", PLACE .. ": " .. message)
end

---@param key string
---@return string?  nil without an error: a miss
---@return tokencache.Error?
function Store:get(key)
  local err = lock_key.refusal(PLACE, key)
  if err then
    return nil, err
  end
  local bytes, problem = self.dict:get(key)
  if bytes == nil and problem then
    return nil, failure(problem)
  end
  return bytes
end

--- Calls a method that may run short of memory; what has expired is cleared away only then.
local function store(self, method, key, value, ttl)
  local dict = self.dict
  local ok, problem, forcible = dict[method](dict, key, value, ttl)
  if problem == "no memory" and dict:flush_expired() > 0 then
    ok, problem, forcible = dict[method](dict, key, value, ttl)
  end
  return ok, problem, forcible
end

---@param key string
---@param bytes string
---@param ttl? number  seconds; nil: for good
---@return true?
---@return tokencache.Error?
function Store:set(key, bytes, ttl)
  check_bytes("store.shared_dict", bytes)
  local err = lock_key.refusal(PLACE, key)
  if err then
    return nil, err
  end
  local ok, problem, forcible = store(self, self.evict and "set" or "safe_set", key, bytes,
    ttl and math.max(ttl, LEAST_TTL) or 0)
  if not ok then
    return nil, failure(problem)
  end
  if forcible and not self.warned then
    self.warned = true -- once for each worker
    log.warning(PLACE, ": no memory is left, tokens that are still good make room for "
      .. "others; enlarge the lua_shared_dict of the tokens")
  end
  return true
end

---@param key string
---@return true?
---@return tokencache.Error?
function Store:delete(key)
  local err = lock_key.refusal(PLACE, key)
  if err then
    return nil, err
  end
  self.dict:delete(key)
  return true
end

--- The serial starts anew in each process, and the number of a process comes back.
local function new_owner()
  serial = serial + 1
  return ("%d.%d.%.6f"):format(ngx.worker.pid(), serial, core.monotonic())
end

local function holds(self, handle)
  return self.dict:get(lock_key.of(handle.name)) == handle.owner
end

--- The lock of this store among the workers of this nginx.
---@param name string
---@param ttl number  seconds after which it ends by itself
---@return { name: string, owner: string }|false|nil handle  false: another holds the lock
---@return tokencache.Error?
function Store:try_lock(name, ttl)
  local owner = new_owner()
  local ok, problem = store(self, "safe_add", lock_key.of(name), owner, ttl)
  if ok then
    return { name = name, owner = owner }
  elseif problem == "exists" then
    return false
  end
  return nil, failure(problem)
end

--- Another's lock, taken in between, may get more time, which does it no harm.
---@param handle table  from try_lock
---@param ttl number    seconds from now
---@return boolean      false: the lock has ended
function Store:extend_lock(handle, ttl)
  return holds(self, handle) and self.dict:expire(lock_key.of(handle.name), ttl) == true
    and holds(self, handle)
end

--- A dictionary cannot compare and delete in one step. What is about to end is left to end, so that
--- no other can take the lock between the two.
---@param handle table  from try_lock
---@return true
function Store:unlock(handle)
  local left = holds(self, handle) and self.dict:ttl(lock_key.of(handle.name))
  if left and left > SAFELY then
    self.dict:delete(lock_key.of(handle.name))
  end
  return true
end

local RULES = {
  evict = { "boolean", default = false },
}

local function check_dict(dict)
  if not ngx then
    error("store.shared_dict: there are shared dictionaries in nginx only", 3)
  elseif type(dict) ~= "table" or dict.safe_set == nil then
    error("store.shared_dict: dict must be one of ngx.shared, not " .. (dict == nil
      and "nil; is there a lua_shared_dict of that name in http {}?" or "a " .. type(dict)), 3)
  end
end

---@param dict table  ngx.shared.NAME
---@param opts? { evict?: boolean }  true: where memory runs out, the tokens not used for longest
---   make room, which suits a front of tokens that are kept elsewhere too; false, the default: a
---   save fails then
---@return tokencache.SharedDictStore
return function(dict, opts)
  check_dict(dict)
  local evict = options.check("store.shared_dict", opts, RULES).evict
  return setmetatable({ dict = dict, evict = evict }, metatable)
end
