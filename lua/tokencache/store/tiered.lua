--- A store made of two: a near one in front, such as memory or a shared dictionary, and behind it
--- the one that counts, such as Redis. What cache.tiered is for one token, this is for many; the
--- rules of both are those of tokencache.store.tiers.
---
--- An entry that is found in front is returned without a check of its token. It is fresh, because
--- the front gets each entry with a time to live that ends when its token is no longer fresh.

local check_bytes = require "tokencache.store.check_bytes"
local check_store = require "tokencache.store.check"
local default_io = require "tokencache.io"
local extras = require "tokencache.util.extras"
local identity_of = require "tokencache.util.identity"
local json = require "tokencache.json"
local options = require "tokencache.util.options"
local tiers = require "tokencache.store.tiers"
local token_info = require "tokencache.token_info"

---@class tokencache.TieredStore: tokencache.Store
---@field private front tokencache.Store
---@field private back tokencache.Store
---@field private leeway number
---@field private front_time? number
---@field private clock fun(): number
---@field private behind table<string, true>  keys at which the front may hold what the back no
---                                           longer does: it could not be emptied there
---@field private under_way table<string, table>  by key what reads and changes at the same time
---                                           share; it goes when nobody is at it any more
local Store = { may_be_stale = true }

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return ("tokencache.store.tiered: %s before %s"):format(tostring(self.front),
      tostring(self.back))
  end,
}

local WEAK = { __mode = "v" }
local LONGEST = 1e10 -- seconds, as in cache.from_store

--- Whole seconds for which the front may serve the entry; nil where it may not. The entry is
--- decoded for that, which is needed only when it comes from the back.
local function front_ttl(self, bytes)
  local info = type(bytes) == "string" and json.decode(bytes)
  if not token_info.normalise(info, json.null) then
    return nil
  end
  local seconds = math.floor(tiers.seconds_left(info, self.leeway, self.clock()))
  seconds = math.min(seconds, self.front_time or seconds)
  return seconds >= 1 and seconds or nil
end

local rules = tiers.new {
  empty = function(entry)
    return tiers.done("emptied", entry.store.front:delete(entry.key))
  end,
  fill = function(entry, bytes)
    local front, ttl = entry.store.front, front_ttl(entry.store, bytes)
    return ttl ~= nil
      and tiers.done("filled", front:set(entry.key, bytes, ttl < LONGEST and ttl or nil))
  end,
  distrust = function(entry, is_behind)
    entry.store.behind[entry.key] = is_behind or nil
  end,
}

local function entry_of(self, key)
  local entry = self.under_way[key]
  if not entry then
    entry = { store = self, back = self.back, key = key, changes = 0 }
    self.under_way[key] = entry
  end
  return entry
end

---@param anew? boolean  what the front holds will not do
function Store:get(key, anew)
  if not anew and not self.behind[key] then
    local bytes, err = self.front:get(key)
    if bytes ~= nil then
      return bytes
    elseif err ~= nil then
      tiers.warn("read", err)
    end
  end
  if anew and self.back.may_be_stale then
    return rules.read(entry_of(self, key), "get", key, true)
  end
  return rules.read(entry_of(self, key), "get", key)
end

function Store:set(key, bytes, ttl)
  check_bytes("store.tiered", bytes)
  return rules.change(entry_of(self, key), bytes, "set", key, bytes, ttl)
end

local metatable_over = extras(metatable, {
  { needs = "delete", fn = function(self, key)
    return rules.change(entry_of(self, key), nil, "delete", key)
  end },
  { needs = "replace", fn = function(self, key, old, bytes, ttl, handle)
    check_bytes("store.tiered", bytes, "replace", old)
    return rules.change(entry_of(self, key), bytes, "replace", key, old, bytes, ttl, handle)
  end },
  -- it may pad the entry in the back; the front must not go on with the one before
  { needs = "can_save", fn = function(self, key, bytes, ttl, handle)
    return rules.change(entry_of(self, key), nil, "can_save", key, bytes, ttl, handle)
  end },
}, "back", { "keys", "try_lock", "extend_lock", "keep_lock", "unlock", "identity_key",
  "mark_key", "protect", "reveal" })

local RULES = {
  front = { "object", required = true },
  back = { "object", required = true },
  leeway = { "number>=0", default = 60 },
  front_time = { "number>0" },
  clock = { "callable", default = default_io.now },
}

---@class tokencache.TieredStoreOptions
---@field front tokencache.Store  one that is near, with `delete`, whose entries end by themselves
---@field back tokencache.Store   the store that counts
---@field leeway? number          seconds before its token's end at which an entry leaves the front;
---                               default 60
---@field front_time? number      seconds at most that an entry is served from the front, whatever
---                               becomes of it in the back; default: while its token is fresh
---@field clock? fun(): number    returns Unix seconds

--- Keys, locks, listing and identity are the back's.
---@param opts tokencache.TieredStoreOptions
---@return tokencache.TieredStore
return function(opts)
  local self = options.check("store.tiered", opts, RULES)
  for _, name in ipairs { "front", "back" } do
    local problem = check_store(self[name])
    if problem then
      error("store.tiered: " .. name .. ": " .. problem, 2)
    end
  end
  if self.front.delete == nil then
    error("store.tiered: front: store has no method delete, by which it is emptied before the back "
      .. "changes", 2)
  end
  self.behind, self.under_way = {}, setmetatable({}, WEAK)
  self.identity = identity_of(self.back)
  self.can_save_anew = self.back.can_save_anew
  return setmetatable(self, metatable_over(self.back))
end
