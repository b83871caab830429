--- A store in a Redis server: everything but the way in which a command gets there and the reply
--- back.

local blocking = require "tokencache.blocking"
local check_bytes = require "tokencache.store.check_bytes"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local environment = require "tokencache.environment"
local lock_key = require "tokencache.store.lock_key"
local log = require "tokencache.log"

--- Only the owner's lock is released or extended: compared and done in one step.
local RELEASE = [[
if redis.call("GET", KEYS[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0]]
local EXTEND = [[
if redis.call("GET", KEYS[1]) == ARGV[1] then
  return redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return 0]]

--- Sends a command and waits for the reply; see tokencache.worker.redis.
---@alias tokencache.RedisCall fun(options: table, ...: string): any, any

---@class tokencache.RedisStore: tokencache.Store
---@field private call tokencache.RedisCall
---@field private options table  plain data
---@field private unreserved? string  the last key that was found to be no lock's
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store.redis",
  __tostring = function(self)
    return "tokencache.store.redis: " .. self.options.place
  end,
}

local MOST_SECONDS = 1e10 -- three centuries; far more do not fit into Redis's clock

local function milliseconds(seconds)
  return ("%.0f"):format(math.max(1, math.ceil(math.min(seconds, MOST_SECONDS) * 1000)))
end

--- reply, note; or nil, err
local function noted(self, reply, note)
  if reply ~= nil and note then
    log.debug(self.options.place, ": the connection to Redis was lost; made a new one")
  end
  return reply, note
end

local function command(self, ...)
  return noted(self, self.call(self.options, ...))
end

local function reserved(self, key)
  local err = lock_key.refusal(self.options.place, key)
  if err then
    return err
  end
  self.unreserved = key
end

---@param key string
---@return string? bytes  nil without an error: there is no such key
---@return tokencache.Error?
function Store:get(key)
  local err = key ~= self.unreserved and reserved(self, key)
  if err then
    return nil, err
  end
  local reply, note = self.call(self.options, "GET", key)
  if note and noted(self, reply, note) == nil then
    return nil, note
  end
  return reply or nil
end

---@param key string
---@param bytes string
---@param ttl? number  seconds; nil: for good
---@return true?
---@return tokencache.Error?
function Store:set(key, bytes, ttl)
  check_bytes("store.redis", bytes)
  local err = reserved(self, key)
  if err then
    return nil, err
  end
  local reply, problem
  if ttl then
    reply, problem = command(self, "SET", key, bytes, "PX", milliseconds(ttl))
  else
    reply, problem = command(self, "SET", key, bytes)
  end
  if reply == nil then
    return nil, problem
  end
  return true
end

---@param key string
---@return true?  also where there was no such key
---@return tokencache.Error?
function Store:delete(key)
  local err = reserved(self, key)
  if err then
    return nil, err
  end
  local reply, problem = command(self, "DEL", key)
  if reply == nil then
    return nil, problem
  end
  return true
end

--- The first attempt of a command that was sent twice may have got the lock.
local function is_held_by(self, name, owner)
  local reply, problem = command(self, "GET", name)
  if reply == nil then
    return nil, problem
  end
  return reply == owner
end

--- Takes a lock that ends by itself after `ttl` seconds.
---@param name string
---@param ttl number
---@return { name: string, owner: string }|false|nil handle  false: another holds it
---@return tokencache.Error?
function Store:try_lock(name, ttl)
  local random, err = crypto.random(16)
  if not random then
    return nil, err
  end
  local handle = { name = lock_key.of(name), owner = core.base64url_encode(random) }
  local reply, note = command(self, "SET", handle.name, handle.owner, "NX", "PX",
    milliseconds(ttl))
  if reply == nil then
    return nil, note
  end
  local got, problem = reply ~= false, nil
  if not got and note == "repeated" then
    got, problem = is_held_by(self, handle.name, handle.owner)
  end
  if got then
    return handle
  end
  return got, problem
end

--- Makes the lock end `ttl` seconds from now.
---@return boolean?  false: it is no longer held
---@return tokencache.Error?
function Store:extend_lock(handle, ttl)
  local reply, problem = command(self, "EVAL", EXTEND, "1", handle.name, handle.owner,
    milliseconds(ttl))
  if reply == nil then
    return nil, problem
  end
  return reply == 1
end

---@return true?  also where the lock has ended
---@return tokencache.Error?
function Store:unlock(handle)
  local reply, problem = command(self, "EVAL", RELEASE, "1", handle.name, handle.owner)
  if reply == nil then
    return nil, problem
  end
  return true
end

local redis = environment.nginx and require "tokencache.nginx.redis" or blocking.worker "redis"

---@param checked table  from tokencache.store.redis_options: plain data
---@param call? tokencache.RedisCall  default: that of tokencache.worker.redis
---@return tokencache.RedisStore
return function(checked, call)
  return setmetatable({ call = call or redis.call, options = checked }, metatable)
end
