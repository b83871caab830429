--- A cache handler made of two: a near one in front, such as memory, and behind it the one that
--- counts, such as Redis. A fresh token is taken from the front without a look at the back. The
--- rules are those of tokencache.store.tiers.

local core = require "tokencache._core"
local default_io = require "tokencache.io"
local errors = require "tokencache.error"
local extras = require "tokencache.util.extras"
local identity_of = require "tokencache.util.identity"
local options = require "tokencache.util.options"
local tiers = require "tokencache.store.tiers"
local token_info = require "tokencache.token_info"

---@class tokencache.TieredHandler: tokencache.Handler
---@field private front table
---@field private back table
---@field private leeway number
---@field private clock fun(): number
---@field private front_is_behind? boolean  it may hold what the back no longer does
---@field changes integer          to the back, their beginnings and their ends
---@field identity any             the back's, or the back itself
---@field front_in_memory? userdata  the front, where a flow may look into it by itself
local Handler = {
  may_be_stale = true,
  changes = 0,
}

local metatable = {
  __index = Handler,
  __name = "tokencache.cache",
  __tostring = function(self)
    return ("tokencache.cache: %s before %s"):format(tostring(self.front), tostring(self.back))
  end,
}

local function is_fresh(self, info)
  return type(info) == "table" and type(info.access_token) == "string"
    and tiers.seconds_left(info, self.leeway, self.clock()) >= 0
end

local rules = tiers.new {
  empty = function(self)
    local front = self.front
    return front.remove_cached_token ~= nil and tiers.done("emptied", front:remove_cached_token())
  end,
  fill = function(self, info)
    return is_fresh(self, info)
      and tiers.done("filled", self.front:save_token_to_cache(info, token_info.known_end(info)))
  end,
  distrust = function(self, is_behind)
    self.front_is_behind = is_behind or nil
  end,
}

local function look_into_front(self, look)
  if self.front_is_behind then
    return nil
  end
  local info, err = self.front[look](self.front)
  if err ~= nil then
    tiers.warn("read", err)
  end
  return info
end

--- The entry is the back's; there is none where the token is the front's.
function Handler:get_cached_token(anew)
  local info = not anew and look_into_front(self, "get_cached_token")
  if is_fresh(self, info) then
    return info
  end
  return rules.read(self, "get_cached_token", anew)
end

--- Only where both tiers have such a look. What the front holds is returned fresh or not: the flow,
--- which looks at the clock in any case, then asks anew.
local function peek_cached_token(self, anew)
  local info = not anew and look_into_front(self, "peek_cached_token")
  if info then
    return info
  end
  return rules.read(self, "get_cached_token", anew)
end

function Handler:save_token_to_cache(info, good_until)
  local ok, err = rules.change(self, info, "save_token_to_cache", info, good_until)
  if errors.has_failed(ok, err) then
    return ok, err
  end
  return true
end

--- What only the back can do. The lock and the mark are the back's: all who share a token share
--- those.
local metatable_over = extras(metatable, {
  { needs = "remove_cached_token", fn = function(self, entry, handle)
    return rules.change(self, nil, "remove_cached_token", entry, handle)
  end },
  { needs = "replace_cached_token", fn = function(self, entry, info, good_until, handle)
    return rules.change(self, info, "replace_cached_token", entry, info, good_until, handle)
  end },
  { needs = "can_save_anew", fn = true },
}, "back", { "can_save", "try_lock", "extend_lock", "keep_lock", "unlock", "get_mark", "set_mark",
  "protect", "reveal", "account_id" })

local RULES = {
  front = { "object", required = true },
  back = { "object", required = true },
  leeway = { "number>=0", default = 60 },
  clock = { "callable", default = default_io.now },
}

local METHODS = { "get_cached_token", "save_token_to_cache" }

---@class tokencache.TieredOptions
---@field front table            a cache handler that is near
---@field back table             the cache handler that counts
---@field leeway? number         seconds before its end at which get_cached_token no longer trusts
---                              the front's token; default 60. A flow goes by its own leeway
---@field clock? fun(): number   returns Unix seconds

---@param opts tokencache.TieredOptions
---@return tokencache.TieredHandler
return function(opts)
  local self = options.check("cache.tiered", opts, RULES)
  for _, name in ipairs { "front", "back" } do
    local problem = options.lacking(self[name], METHODS)
    if problem then
      error("cache.tiered: " .. name .. " " .. problem .. "; it must be a cache handler (a store "
        .. "becomes one by cache.from_store)", 2)
    end
  end
  self.identity = identity_of(self.back)
  self.replaces_in_two_steps = self.back.replaces_in_two_steps
  if self.front.peek_cached_token and self.back.peek_cached_token then
    self.peek_cached_token = peek_cached_token
  end
  self.in_request = self.front.in_request or self.back.in_request or nil
  if self.clock == default_io.now and core.memory_box(self.front) then
    self.front_in_memory = self.front
  end
  return setmetatable(self, metatable_over(self.back))
end
