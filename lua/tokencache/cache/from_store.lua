--- A cache handler made of a store (bytes by key) and a key. JSON and time-to-live are settled
--- here, once for all stores. Pure Lua without pcall: a store may yield, also on Lua 5.1.

local check_store = require "tokencache.store.check"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local extras = require "tokencache.extras"
local json = require "tokencache.json"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local options = require "tokencache.options"
local token_info = require "tokencache.token_info"

---@class tokencache.Store
---@field get fun(self, key: string): string?, any           nil is a miss; nil, err a failure
---@field set fun(self, key: string, bytes: string, ttl?: integer): any, any  seconds; nil: forever
---@field delete? fun(self, key: string): any, any           a missing key is no failure
---@field try_lock? fun(self, name: string, ttl: number): any, any  handle [, guard]; false: taken;
---                                                           nil, err
---@field extend_lock? fun(self, handle: any, ttl: number): any, any  true; false: not held; nil,
---                                                           err
---@field unlock? fun(self, handle: any): any, any

---@class tokencache.StoreHandler
---@field private store tokencache.Store
---@field private key string
---@field path? string  of the file that the key is
---@field private ttl? number
---@field private clock? fun(): number
---@field private seen_bytes? string  what `seen_info` was decoded from
---@field private seen_info? tokencache.TokenInfo
---@field private copy_seen? fun(info: table): table
local Handler = {}

--- For messages.
local function name_of(self)
  return self.path and core.printable(self.path) or keys.shown(self.key)
end

local metatable = {
  __index = Handler,
  __name = "tokencache.cache",
  __tostring = function(self)
    return "tokencache.cache: " .. name_of(self)
  end,
}

local function failure(self, message)
  return errors.new("cache", name_of(self) .. ": " .. message)
end

--- What a store said went wrong; an error of our own stores names the place itself.
local function store_failure(self, method, err)
  if type(err) == "table" and err.kind then
    return errors.wrap("cache", err)
  end
  return failure(self, "the store's " .. method .. " failed"
    .. (err ~= nil and ": " .. tostring(err) or ""))
end

--- For what can only succeed or fail.
local function outcome(self, method, result, err)
  if errors.has_failed(result, err) then
    return nil, store_failure(self, method, err)
  end
  return true
end

local function decode(self, bytes)
  if type(bytes) ~= "string" then
    return nil, failure(self, "the store's get returned a " .. type(bytes)
      .. "; a string expected, or nil for a miss")
  end
  local value, message = json.decode(bytes)
  if not message and type(value) ~= "table" then
    message = "JSON, but not an object"
  end
  if message then
    return nil, failure(self, message .. "; mend or remove it")
  end
  local info, problem = token_info.normalise(value, json.null)
  if not info then
    return nil, failure(self, problem .. "; mend or remove it")
  end
  return info
end

--- What the store's get has returned, where that is not what it returned the last time.
local function read(self, bytes, err)
  if err ~= nil and bytes == nil then
    return nil, store_failure(self, "get", err)
  elseif bytes == nil then
    log.debug(function() return name_of(self) end, ": no token is cached")
    return nil
  end
  local info
  info, err = decode(self, bytes)
  if info then
    self.seen_bytes, self.seen_info = bytes, info
    self.copy_seen = token_info.is_plain(info) and token_info.plain_copy or json.copy
  end
  return info, err
end

--- The cached token, as a table that others hold too and nobody may change. It is decoded only
--- where the store's bytes have changed since the last call.
---@return tokencache.TokenInfo?  nil without an error: nothing is cached
---@return tokencache.Error?
function Handler:peek_cached_token()
  local bytes, err = self.store:get(self.key)
  if bytes ~= nil and bytes == self.seen_bytes then
    return self.seen_info
  end
  return read(self, bytes, err)
end

--- The same, as a table of the caller's own.
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function Handler:get_cached_token()
  local bytes, err = self.store:get(self.key)
  if bytes ~= nil and bytes == self.seen_bytes then
    return self.copy_seen(self.seen_info)
  end
  local info
  info, err = read(self, bytes, err)
  return info and self.copy_seen(info), err
end

--- What is beyond it storages have no dates for.
local LONGEST = 1e10 -- seconds, three centuries

--- Whole seconds for the store to keep the entry; nil: for good.
local function time_to_live(self, info, good_until)
  local seconds = self.ttl
  if not seconds then
    good_until = good_until or token_info.good_until(info)
    seconds = good_until and good_until - (self.clock or core.now)()
  end
  if not seconds or seconds > LONGEST then
    return nil
  end
  return math.max(1, math.ceil(seconds))
end

---@param info tokencache.TokenInfo  left as it is
---@param good_until? number  Unix seconds from which on it is of no use; nil: what it says itself
---@return true?
---@return tokencache.Error?
function Handler:save_token_to_cache(info, good_until)
  local copy = type(info) == "table" and token_info.copy(info) or info
  local problem
  copy, problem = token_info.normalise(copy, json.null)
  if not copy then
    return nil, failure(self, problem)
  end
  if copy.scope == nil and token_info.has_refresh_token(copy) then
    copy.scope = json.null -- spotipy takes a user's token without this member for a miss
  end
  local bytes, message = json.encode(copy)
  if not bytes then
    return nil, failure(self, message)
  end
  return outcome(self, "set", self.store:set(self.key, bytes, time_to_live(self, copy, good_until)))
end

---@return true?
---@return tokencache.Error?
local function remove_cached_token(self)
  self.seen_bytes, self.seen_info = nil, nil
  return outcome(self, "delete", self.store:delete(self.key))
end

---@param ttl number  seconds after which the lock ends by itself
---@return any handle  plain data; false: another holds the lock
---@return any guard   to be kept as long as the lock, where the store has one; or an error
local function try_lock(self, ttl)
  local handle, guard = self.store:try_lock(self.key, ttl)
  if handle == nil then
    return nil, store_failure(self, "try_lock", guard)
  end
  return handle, guard
end

---@param handle any  from try_lock
---@param ttl number  seconds from now
---@return boolean?   false: the lock has ended
---@return tokencache.Error?
local function extend_lock(self, handle, ttl)
  local held, err = self.store:extend_lock(handle, ttl)
  if held == nil then
    return nil, store_failure(self, "extend_lock", err)
  end
  return held
end

---@param handle any  from try_lock
---@return true?
---@return tokencache.Error?
local function unlock(self, handle)
  return outcome(self, "unlock", self.store:unlock(handle))
end

--- A handler can do these only if its store can.
local metatable_over = extras(metatable, {
  { needs = "delete", name = "remove_cached_token", fn = remove_cached_token },
  { needs = "try_lock", name = "try_lock", fn = try_lock },
  { needs = "extend_lock", name = "extend_lock", fn = extend_lock },
  { needs = "unlock", name = "unlock", fn = unlock },
})

local RULES = {
  ttl = { "number>0" },
  clock = { "callable" },
}

--- Makes a cache handler that keeps its token at `key` of `store`. Handlers are cheap: a program
--- may make one for each user, and at each request.
---@param store tokencache.Store
---@param key string|string[]  a list is joined so that parts which users supply cannot collide
---@param opts? { ttl?: number, clock?: fun(): number }  ttl: seconds to keep any entry, instead of
---   as long as it is of use; clock: returns Unix seconds
---@return tokencache.StoreHandler
local function from_store(store, key, opts)
  local problem = check_store(store)
  if problem then
    error("from_store: " .. problem, 2)
  end
  local handler = { store = store, key = keys.check("from_store", key) }
  if opts ~= nil then
    local checked = options.check("from_store", opts, RULES)
    handler.ttl = checked.ttl
    handler.clock = checked.clock
  end
  return setmetatable(handler, metatable_over(store))
end

return from_store
