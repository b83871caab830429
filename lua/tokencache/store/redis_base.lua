--- A store in a Redis server: everything but the way in which a command gets there and the reply
--- back.

local blocking = require "tokencache.blocking"
local can_save = require "tokencache.store.can_save"
local check_bytes = require "tokencache.store.check_bytes"
local environment = require "tokencache.environment"
local errors = require "tokencache.error"
local lock_holder = require "tokencache.store.lock_holder"
local log = require "tokencache.log"
local redis_cluster = require "tokencache.store.redis_cluster"
local reserved_key = require "tokencache.store.reserved_key"
local scripts = require "tokencache.store.redis_scripts"

--- Sends a command and waits for the reply, as a caller of tokencache.worker.redis.
---@alias tokencache.RedisCall fun(options: table, ...: string): any, any

---@class tokencache.RedisStore: tokencache.Store
---@field identity string  what is known of the server by name
---@field private call fun(...: string): any, any  keeps the options, with the password, to itself
---@field private place string
---@field private naming table  of locks and marks: reserved_key, or redis_cluster
---@field private has_replicas boolean  some of them must have what is written
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store.redis",
  __tostring = function(self)
    return "tokencache.store.redis: " .. self.place
  end,
}

local MOST_SECONDS = 1e10 -- three centuries; far more do not fit into Redis's clock

--- A NaN is over at once.
local function milliseconds(seconds)
  local some = seconds > 0 and math.min(seconds, MOST_SECONDS) or 0
  return ("%.0f"):format(math.max(1, math.ceil(some * 1000)))
end

--- reply, note; or nil, err
local function noted(self, reply, note)
  if reply ~= nil and note then
    log.debug(self.place, ": the connection to Redis was lost; made a new one")
  end
  return reply, note
end

local function command(self, ...)
  return noted(self, self.call(...))
end

--- A command about an entry.
local function entry_command(self, name, key, ...)
  local err = self.naming.refusal(self.place, key)
  if err then
    return nil, err
  end
  return command(self, name, key, ...)
end

function Store:get(key) -- which must not take longer than the server
  local err = self.naming.refusal(self.place, key)
  if err then
    return nil, err
  end
  local reply, note = self.call("GET", key)
  if note and noted(self, reply, note) == nil then
    return nil, note
  end
  return reply or nil
end

function Store:set(key, bytes, ttl)
  check_bytes("store.redis", bytes)
  if ttl then
    return errors.done(entry_command(self, "SET", key, bytes, "PX", milliseconds(ttl)))
  end
  return errors.done(entry_command(self, "SET", key, bytes))
end

function Store:delete(key)
  return errors.done(entry_command(self, "DEL", key))
end

local SAME = "same" -- the time that the entry has left

--- As scripts.REPLACE takes it.
local function time_to_live(ttl)
  if ttl == nil or ttl == SAME then
    return ttl or ""
  end
  return milliseconds(ttl)
end

--- Compares and sets in one step.
function Store:replace(key, old, bytes, ttl, handle)
  check_bytes("store.redis", bytes, "replace", old)
  local err = self.naming.refusal(self.place, key)
  if err then
    return nil, err
  end
  local lasting = bytes == nil and "delete" or time_to_live(ttl)
  local state, reply, note = old and "1" or "0"
  if handle then
    reply, note = command(self, "EVAL", scripts.REPLACE, "2", key, handle.name, bytes or "",
      lasting, handle.owner, old or "", state)
  else
    reply, note = command(self, "EVAL", scripts.REPLACE, "1", key, bytes or "", lasting, "",
      old or "", state)
  end
  if reply == nil then
    return nil, note
  end
  -- The first attempt of a script that was sent twice may have done it, and one before that may
  -- have waited for replicas in vain.
  return reply == scripts.SAVED or reply == scripts.THERE
    and (note == "repeated" or self.has_replicas)
end

--- The entry keeps the time that it has left, whatever the caller would give it.
function Store:can_save(key, bytes, _ttl, handle)
  return can_save(self, key, bytes, SAME, handle)
end

local PAGE = "200" -- keys that Redis looks at for each page

local function protocol_failure(self)
  return errors.new("cache", self.place .. ": Redis: a list of keys that makes no sense; "
    .. "check that it is a Redis server", { code = "PROTOCOL" })
end

--- The texts in the reply of scripts.KEYS; nil: it is none.
local function parse_texts(reply)
  local texts, at = {}, 1
  while at <= #reply do
    local _, colon, length = reply:find("^(%d+):", at)
    if not colon then
      return nil
    end
    at = colon + 1 + tonumber(length)
    texts[#texts + 1] = reply:sub(colon + 1, at - 1)
  end
  if at ~= #reply + 1 then
    return nil
  end
  return texts
end

--- A page of the keys of a server: those that were not seen, and where the next one begins, or nil;
--- or nil, err. SCAN may return a key more than once.
local function page(self, prefix, at, seen, node)
  local pattern = prefix:gsub("[][*?^\\]", "\\%0") .. "*"
  local reply, problem = command(self, "EVAL", scripts.KEYS, "0", at, pattern, PAGE, node)
  if reply == nil then
    return nil, problem
  end
  local texts = type(reply) == "string" and parse_texts(reply)
  if not texts or not texts[1] then
    return nil, protocol_failure(self)
  end
  local keys = {}
  for i = 2, #texts do
    local key = texts[i]
    if not seen[key] and not reserved_key.is_reserved(key) then
      seen[key] = true
      keys[#keys + 1] = key
    end
  end
  return keys, texts[1] ~= "0" and texts[1] or nil
end

--- The cursor remembers the keys that were listed.
function Store:keys(prefix, cursor)
  local seen, keys, next_at = cursor and cursor.seen or {}
  local function page_of(node, at)
    return page(self, prefix, at, seen, node)
  end
  if self.naming == redis_cluster then
    keys, next_at = redis_cluster.keys(self.call, page_of, cursor and cursor.at)
  else
    keys, next_at = page_of("", cursor and cursor.at or "0")
  end
  if keys == nil then
    return nil, next_at
  end
  return keys, next_at and { at = next_at, seen = seen } or nil
end

--- The key of the mark beside the entry at `key`.
function Store:mark_key(key)
  return self.naming.of_mark(key)
end

function Store:try_lock(name, ttl)
  local handle, err = nil, self.naming.refusal(self.place, name)
  if not err then
    handle, err = reserved_key.new_handle(self.naming.of_lock(name))
  end
  if not handle then
    return nil, err
  end
  local reply, note = command(self, "SET", handle.name, handle.owner, "NX", "PX",
    milliseconds(ttl))
  if reply == nil then
    if note.code == "NOREPLICAS" then -- nobody has it, but the master
      self:unlock(handle)
    end
    return nil, note
  elseif reply then
    return handle
  end
  local holder, problem = command(self, "GET", handle.name)
  if holder == nil and note == "repeated" then
    return nil, problem
  elseif holder == handle.owner then
    return handle -- by the first attempt of a command that was sent twice
  end
  return lock_holder.busy(holder)
end

---@param mark string  that stands behind its owner from now on
local function extend(self, handle, ttl, mark)
  local reply, problem = command(self, "EVAL", scripts.EXTEND, "1", handle.name, handle.owner,
    milliseconds(ttl), mark)
  if reply == nil then
    return nil, problem
  end
  return reply == 1
end

function Store:extend_lock(handle, ttl)
  return extend(self, handle, ttl, "")
end

--- The same, for a token that could not be saved: try_lock tells the others so.
function Store:keep_lock(handle, ttl)
  return extend(self, handle, ttl, lock_holder.OWED)
end

function Store:unlock(handle)
  return errors.done(command(self, "EVAL", scripts.RELEASE, "1", handle.name, handle.owner))
end

local redis = environment.nginx and require "tokencache.nginx.redis" or blocking.worker "redis"

---@param checked table  from tokencache.store.redis_options: plain data
---@param call? tokencache.RedisCall  default: by tokencache.worker.redis
---@return tokencache.RedisStore
return function(checked, call)
  return setmetatable({
    call = call and function(...) return call(checked, ...) end or redis.caller(checked),
    place = checked.place,
    naming = checked.cluster and redis_cluster or reserved_key,
    has_replicas = (checked.replicas or 0) > 0,
    identity = ("redis:%s/%d"):format(checked.place, checked.db or 0),
  }, metatable)
end
