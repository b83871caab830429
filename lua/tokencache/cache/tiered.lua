--- A cache handler made of two: a near one in front, such as memory, and behind it the one that
--- counts, such as Redis. A fresh token is taken from the front without a look at the back.
---
--- The front holds nothing but fresh tokens that the back held too. It is emptied before the back
--- changes, so that nothing stale is left in it whatever happens in between.

local core = require "tokencache._core"
local default_io = require "tokencache.io"
local errors = require "tokencache.error"
local extras = require "tokencache.extras"
local log = require "tokencache.log"
local options = require "tokencache.options"

---@class tokencache.TieredHandler
---@field private front table
---@field private back table
---@field private leeway number
---@field private clock fun(): number
---@field private front_is_behind? boolean  it may hold what the back no longer does
---@field private changes integer  to the back, their beginnings and their ends
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
  if type(info) ~= "table" or type(info.access_token) ~= "string" then
    return false
  end
  local expires_at = tonumber(info.expires_at)
  if expires_at then
    return expires_at - self.clock() >= self.leeway
  end
  return info.expires_at == nil
end

--- A front that is broken fails at every call: it is said at first and then at intervals. The
--- reason is part of the id, so that another reason is news.
local function warn(doing, err)
  local reason = tostring(errors.wrap("cache", err or "the handler returned false"))
  log.repeated("warning", "front: " .. doing .. ": " .. reason, "the cache's front could not be ",
    doing, ": ", reason)
end

local function empty_front(self)
  local front = self.front
  if not front.remove_cached_token then
    self.front_is_behind = true
    return
  end
  local ok, err = front:remove_cached_token()
  self.front_is_behind = errors.has_failed(ok, err) or nil
  if self.front_is_behind then
    warn("emptied", err)
  end
end

local function note_change(self)
  self.changes = self.changes + 1
  return self.changes
end

local function try_to_fill(self, info)
  local ok, err = self.front:save_token_to_cache(info, tonumber(info.expires_at))
  if errors.has_failed(ok, err) then
    warn("filled", err)
    return false
  end
  return true
end

--- With what the back held after so many changes. After one more it may hold something else.
local function fill_front(self, info, changes)
  local fits = changes == self.changes and is_fresh(self, info) and try_to_fill(self, info)
  if fits and changes == self.changes then
    self.front_is_behind = nil
  else
    empty_front(self)
  end
end

local function look_into_front(self, look)
  if self.front_is_behind then
    return nil
  end
  local info, err = self.front[look](self.front)
  if err ~= nil then
    warn("read", err)
  end
  return info
end

local function look_into_back(self, anew)
  local changes = self.changes
  local info, err = self.back:get_cached_token(anew)
  if err ~= nil then
    return nil, err
  end
  fill_front(self, info, changes)
  return info
end

---@param anew? boolean  what the front holds will not do
---@return tokencache.TokenInfo?  nil without an error: nothing is cached
---@return tokencache.Error?
function Handler:get_cached_token(anew)
  local info = not anew and look_into_front(self, "get_cached_token")
  if is_fresh(self, info) then
    return info
  end
  return look_into_back(self, anew)
end

--- The same, as a table that nobody may change. What the front holds is returned fresh or not: the
--- flow, which looks at the clock in any case, then asks anew.
---@param anew? boolean
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function Handler:peek_cached_token(anew)
  local look = self.front.peek_cached_token and "peek_cached_token" or "get_cached_token"
  local info = not anew and look_into_front(self, look)
  if info then
    return info
  end
  return look_into_back(self, anew)
end

--- What the back may hold after a failure is not known, so the front holds nothing then.
---@param info tokencache.TokenInfo
---@param good_until? number  Unix seconds
---@return true?
---@return tokencache.Error?
function Handler:save_token_to_cache(info, good_until)
  local changes = note_change(self)
  empty_front(self)
  local ok, err = self.back:save_token_to_cache(info, good_until)
  local failed, was_alone = errors.has_failed(ok, err), changes == self.changes
  fill_front(self, not failed and was_alone and info or nil, note_change(self))
  if failed then
    return ok, err
  end
  return true
end

local function remove_cached_token(self)
  note_change(self)
  empty_front(self)
  local ok, err = self.back:remove_cached_token()
  note_change(self)
  empty_front(self)
  return ok, err
end

--- The lock is the back's: all who share a token share that.
local metatable_over = extras(metatable, {
  { needs = "remove_cached_token", name = "remove_cached_token", fn = remove_cached_token },
  { needs = "try_lock", name = "try_lock", fn = function(self, ttl)
    return self.back:try_lock(ttl)
  end },
  { needs = "extend_lock", name = "extend_lock", fn = function(self, handle, ttl)
    return self.back:extend_lock(handle, ttl)
  end },
  { needs = "unlock", name = "unlock", fn = function(self, handle)
    return self.back:unlock(handle)
  end },
})

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
    for _, method in ipairs(METHODS) do
      if self[name][method] == nil then
        error("cache.tiered: " .. name .. " has no method " .. method .. "; it must be a cache "
          .. "handler (a store becomes one by cache.from_store)", 2)
      end
    end
  end
  if self.clock == default_io.now and core.memory_box(self.front) then
    self.front_in_memory = self.front
  end
  return setmetatable(self, metatable_over(self.back))
end
