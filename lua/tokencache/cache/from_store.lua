--- A cache handler made of a store (bytes by key) and a key. JSON and time-to-live are settled
--- here, once for all stores. Pure Lua without pcall: a store may yield, also on Lua 5.1.

local blank = require "tokencache.util.blank"
local check_store = require "tokencache.store.check"
local core = require "tokencache._core"
local extras = require "tokencache.util.extras"
local identity_of = require "tokencache.util.identity"
local json = require "tokencache.json"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local mark = require "tokencache.cache.mark"
local options = require "tokencache.util.options"
local padded = require "tokencache.store.padded"
local read_store = require "tokencache.store.read"
local store_errors = require "tokencache.cache.store_errors"
local token_info = require "tokencache.token_info"

local failure, name_of, outcome, store_failure =
  store_errors.failure, store_errors.name_of, store_errors.outcome, store_errors.of_store

--- What a cache handler is. Its methods are described here, and in the handlers only where they
--- differ. All return nil and an error where they fail; what each is for is told in
--- docs/handlers.md.
---@class tokencache.Handler
---@field get_cached_token fun(self, anew?: boolean): tokencache.TokenInfo?, any, any
---   a table of the caller's own, or nil for a miss, an error, and the entry that was read; anew:
---   a copy that may be out of date will not do
---@field save_token_to_cache fun(self, info: tokencache.TokenInfo, good_until?: number): any, any
---   leaves `info` as it is; good_until: Unix seconds from which on it is of no use
---@field peek_cached_token? fun(self, anew?: boolean): tokencache.TokenInfo?, any, any  as
---   get_cached_token, but a table that others hold too and nobody may change
---@field remove_cached_token? fun(self, entry?: any, handle?: any): any, any  only what was read,
---   or without an entry whatever there is; something else there is no failure
---@field replace_cached_token? fun(self, entry?: any, info: tokencache.TokenInfo,
---   good_until?: number, handle?: any): boolean?, any  saves over what was read, and nothing else,
---   under the lock of `handle`; false: something else is there, or another holds the lock; false,
---   "gone": nothing is there any more
---@field can_save? fun(self, entry?: any, info?: tokencache.TokenInfo, handle?: any): any, any
---   shows that it could replace the entry; returns the one that is there now; false: as above
---@field try_lock? fun(self, ttl: number): any, any  these three as of tokencache.Store
---@field extend_lock? fun(self, handle: any, ttl: number): any, any
---@field unlock? fun(self, handle: any): any, any
---@field get_mark? fun(self): string?, any  a text that outlasts the token's removal
---@field set_mark? fun(self, text?: string, ttl?: number): any, any  nil: no mark any more
---@field account_id? fun(self): any, string  what the store is known by, a string or an object that
---   is compared by rawequal, and the account's key there
---@field replaces_in_two_steps? boolean  it reads, then writes, and does not look at the lock
---@field in_request? true        it lives no longer than a request
---@field may_be_stale? boolean   it may return an old copy, unless asked anew

---@class tokencache.StoreHandler: tokencache.Handler
---@field private store tokencache.Store
---@field private key string
---@field path? string  of the file that the key is
---@field private ttl? number
---@field private clock? fun(): number
---@field private seen_bytes? string  what `seen_info` was decoded from
---@field private seen_info? tokencache.TokenInfo
---@field private copy_seen fun(info: table): table
local Handler = {
  replaces_in_two_steps = true,
  copy_seen = token_info.plain_copy, -- few token_infos need another
  get_mark = mark.get,
  set_mark = mark.set,
}

local metatable = {
  __index = Handler,
  __name = "tokencache.cache",
  __tostring = function(self)
    return "tokencache.cache: " .. name_of(self)
  end,
}

local BYTE_ORDER_MARK = "\239\187\191" -- RFC 8259, section 8.1: a reader may ignore it

local function parse(bytes)
  if bytes:find(BYTE_ORDER_MARK, 1, true) == 1 then
    bytes = bytes:sub(#BYTE_ORDER_MARK + 1)
  end
  return json.decode(bytes)
end

local function decode(self, bytes)
  local value, message = parse(bytes)
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

--- Decodes what the store's get has returned, where it is not the same as the last time. The table
--- is one that others hold too and nobody may change.
---@param bytes any
---@param err any
---@param damaged? any  the entry, where the store cannot tell its bytes
---@return tokencache.TokenInfo?  nil without an error: nothing is cached
---@return tokencache.Error?
---@return string? entry  the bytes
function Handler:decode(bytes, err, damaged)
  if bytes == nil then
    if err ~= nil then
      return nil, store_failure(self, "get", err), damaged
    end
    log.debug(function() return name_of(self) end, ": no token is cached")
    return nil
  elseif bytes == self.seen_bytes then
    return self.seen_info, nil, bytes
  elseif type(bytes) ~= "string" then
    return nil, failure(self, "the store's get returned a " .. type(bytes)
      .. "; a string expected, or nil for a miss")
  elseif blank(bytes) then
    log.repeated("warning", "empty: " .. self.key, function() return name_of(self) end,
      ": the entry is empty, which counts as no token")
    return nil, nil, bytes
  end
  local info
  info, err = decode(self, bytes)
  if info then
    self.seen_bytes, self.seen_info = bytes, info
    self.copy_seen = not token_info.is_plain(info) and json.copy or nil
  end
  return info, err, bytes
end

function Handler:peek_cached_token(anew)
  if anew then
    return self:decode(read_store(self.store, self.key, true))
  end
  return self:decode(self.store:get(self.key))
end

function Handler:get_cached_token(anew)
  local info, err, entry = self:peek_cached_token(anew)
  return info and self.copy_seen(info), err, entry
end

--- Many storages cannot keep an entry for longer; such an entry is kept for good.
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

--- Other programs that share the entry look for the token's end where they have put it. One that
--- they have put elsewhere than in expires_at is not stated twice: they would renew one of the two.
local function keep_form(info, entry)
  local former = parse(entry)
  if type(former) ~= "table" then
    return
  end
  if token_info.keep_form(info, former) and former.expires_at == nil then
    info.expires_at = nil
  end
end

--- The bytes of a token_info and how long the store is to keep them; or nil and an error.
local function encode(self, info, good_until, entry)
  local copy = type(info) == "table" and token_info.copy(info) or info
  local problem
  copy, problem = token_info.normalise(copy, json.null)
  if not copy then
    return nil, failure(self, problem)
  end
  local ttl = time_to_live(self, copy, good_until)
  if entry then
    keep_form(copy, entry)
  end
  if copy.scope == nil and token_info.has_refresh_token(copy) then
    copy.scope = json.null -- spotipy takes a user's token without this member for a miss
  end
  local bytes, message = json.encode(copy)
  if not bytes then
    return nil, failure(self, message)
  end
  return bytes, ttl
end

function Handler:save_token_to_cache(info, good_until)
  local bytes, ttl = encode(self, info, good_until)
  if not bytes then
    return nil, ttl
  end
  return outcome(self, "set", self.store:set(self.key, bytes, ttl))
end

--- Reports whether the entry was removed: one was read, and now there is none.
local function is_gone(there, err, entry)
  return there == nil and err == nil and entry ~= nil
end

--- For a store that cannot replace by itself: between the two steps another may save, and is
--- overwritten.
function Handler:replace_cached_token(entry, info, good_until)
  local bytes, ttl = encode(self, info, good_until, entry)
  if not bytes then
    return nil, ttl
  end
  local there, err = read_store(self.store, self.key, true)
  if there == nil and err ~= nil then
    return nil, store_failure(self, "get", err)
  elseif there ~= entry then
    return false, is_gone(there, err, entry) and "gone" or nil
  end
  return outcome(self, "set", self.store:set(self.key, bytes, ttl))
end

--- For a store that can.
local function replace_cached_token(self, entry, info, good_until, handle)
  local bytes, ttl = encode(self, info, good_until, entry)
  if not bytes then
    return nil, ttl
  end
  local store, key = self.store, self.key
  local replaced, err = store:replace(key, entry, bytes, ttl, handle)
  if replaced == nil then
    return nil, store_failure(self, "replace", err)
  elseif replaced then
    return true
  end
  local there
  there, err = read_store(store, key, true)
  return false, is_gone(there, err, entry) and "gone" or nil
end

--- A store that cannot compare is read again: what another saves right after is lost.
local function remove_cached_token(self, entry, handle)
  self.seen_bytes, self.seen_info = nil, nil
  local store, key = self.store, self.key
  if entry ~= nil and store.replace then
    local removed, err = store:replace(key, entry, nil, nil, handle)
    if removed == nil then
      return nil, store_failure(self, "replace", err)
    end
    return true
  elseif entry ~= nil then
    local there, err = read_store(store, key, true)
    if there == nil and err ~= nil then
      return nil, store_failure(self, "get", err)
    elseif there ~= entry then
      return true
    end
  end
  return outcome(self, "delete", store:delete(key))
end

local function try_lock(self, ttl)
  local handle, guard = self.store:try_lock(self.key, ttl)
  if handle == nil then
    return nil, store_failure(self, "try_lock", guard)
  end
  return handle, guard
end

--- Makes a method that makes the lock end later, and returns false where it has ended already.
---@param name string
local function extend_by(name)
  return function(self, handle, ttl)
    local store = self.store
    local held, err = store[name](store, handle, ttl)
    if held == nil then
      return nil, store_failure(self, name, err)
    end
    return held
  end
end

local function unlock(self, handle)
  return outcome(self, "unlock", self.store:unlock(handle))
end

--- Where nothing is there: an expired token that nobody can renew means as little to who reads it.
local PLACE = '{"access_token":"none","expires_at":0}'
local PLACE_LIFE = 60 -- seconds, where the store has a time to live

local function hold_place(self, handle)
  if not self.store.replace then
    return nil
  end
  local place = padded(PLACE)
  local held, err = self.store:replace(self.key, nil, place, PLACE_LIFE, handle)
  if held == nil then
    return nil, store_failure(self, "replace", err)
  end
  return held and place
end

--- The store may pad the entry with blanks to find out. Where nothing was, the place is kept by an
--- entry that is of no use.
local function can_save(self, entry, info, handle)
  local store = self.store
  if entry == nil and not store.can_save_anew then
    return hold_place(self, handle)
  end
  local ttl = type(info) == "table" and time_to_live(self, info) or nil
  local kept, err = store:can_save(self.key, entry, ttl, handle)
  if kept == nil and (entry ~= nil or err ~= nil) then
    return nil, store_failure(self, "can_save", err)
  end
  return kept
end

function Handler:account_id()
  local store = self.store
  return identity_of(store), store.identity_key and store:identity_key(self.key) or self.key
end

--- Makes a method that is the store's of that name, for the handler's entry.
local function of_entry(name)
  return function(self, bytes)
    return self.store[name](self.store, self.key, bytes)
  end
end

--- A handler can do these only if its store can.
local metatable_over = extras(metatable, {
  { needs = "delete", name = "remove_cached_token", fn = remove_cached_token },
  { needs = "try_lock", fn = try_lock },
  { needs = "extend_lock", fn = extend_by "extend_lock" },
  { needs = "keep_lock", fn = extend_by "keep_lock" },
  { needs = "unlock", fn = unlock },
  { needs = "replace", name = "replace_cached_token", fn = replace_cached_token },
  { needs = "replace", name = "replaces_in_two_steps", fn = false },
  { needs = "can_save", fn = can_save },
  { needs = "can_save_anew", fn = true },
  { needs = "may_be_stale", fn = true },
  { needs = "protect", fn = of_entry "protect" },
  { needs = "reveal", fn = of_entry "reveal" },
})

local RULES = {
  ttl = { "number>0" },
  clock = { "callable" },
}

---@class tokencache.FromStoreOptions
---@field ttl? number           seconds to keep any entry, instead of as long as it is of use
---@field clock? fun(): number  returns Unix seconds

--- Makes a cache handler that keeps its token at `key` of `store`. Handlers are cheap: a program
--- may make one for each user, and at each request.
---@param store tokencache.Store
---@param key string|string[]  a list is joined so that parts which users supply cannot collide
---@param opts? tokencache.FromStoreOptions
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
