--- The session of a web framework with a lock, for requests of one browser that come at the same
--- time. Each of them has read the session with the same refresh token, which may work once only,
--- and none sees what another writes into it. So the lock is taken on that refresh token, in a
--- store; and what it was renewed to is kept there for a while, for whoever still has the old one.
---
--- Only the request itself can use its session. What is done in a timer uses what was read of it
--- before, and the store; the request puts the result into the session when it is back.

local from_store = require "tokencache.cache.from_store"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local options = require "tokencache.util.options"
local token_info = require "tokencache.token_info"

local LIFE = 3600       -- seconds that the successor of a refresh token is kept
local LOCK_LIFE = 60    -- seconds at least, where the store cannot extend a lock
local LONGEST_CHAIN = 100 -- renewals that a session may be behind

--- Kept in the place of a successor where the login was removed.
local REMOVED = { access_token = "none", expires_at = 0, removed = true }

---@class tokencache.LockedSession: tokencache.Handler
---@field private session table      the session's handler without a lock
---@field private store tokencache.Store
---@field private info? tokencache.TokenInfo  the session's, or a newer one
---@field private is_newer boolean   `info` is to be put into the session
---@field private refused? tokencache.Error   the session cannot be saved any more
---@field private failed? tokencache.Error    the session could not be read
---@field private name? string       digest of the refresh token that a lock is for
---@field private beside? tokencache.StoreHandler  of what that was renewed to
local Locked = { may_be_stale = true }
Locked.__index = Locked

local function is_away()
  return ngx and ngx.get_phase() == "timer"
end

--- Reads the session, unless this is away from it. It is behind a token that could not be put into
--- it.
local function read(self)
  if not is_away() and not self.is_newer then
    self.info, self.failed = self.session:get_cached_token()
  end
end

--- For what is done away from the request.
function Locked:set_out()
  self.refused = self.session:refusal()
  read(self)
end

--- Puts into the session what has come meanwhile.
---@return true?
---@return tokencache.Error?
function Locked:come_back()
  if not self.is_newer or is_away() then
    return true
  end
  local ok, err
  if self.info then
    ok, err = self.session:save_token_to_cache(self.info)
  else
    ok, err = self.session:remove_cached_token()
  end
  self.is_newer = not ok
  if not ok then
    log.warning("the session does not have the newest token yet: ", err)
  end
  return ok, err
end

local function take(self, info)
  self.info, self.is_newer = info, true
end

--- Names the lock, by the refresh token that it is for.
---@return boolean?
---@return tokencache.Error?
local function name(self, refresh_token)
  local digest, err = keys.sha256(refresh_token)
  if not digest then
    return nil, err
  end
  self.name = digest
  self.beside = from_store(self.store, { "session-lock", digest }, { ttl = LIFE })
  return true
end

local function later(a, b)
  return (token_info.known_end(a) or 0) > (token_info.known_end(b) or 0) and a or b
end

--- Follows the renewals that the store knows of.
---@return tokencache.TokenInfo?
---@return tokencache.Error?
---@return string? entry  of the store, beside the last one
local function newest(self, info)
  local entry
  self.name, self.beside = nil, nil
  for _ = 1, LONGEST_CHAIN do
    if not token_info.has_refresh_token(info) then
      break
    end
    local named, err = name(self, info.refresh_token)
    if not named then
      return nil, err
    end
    local following
    following, err, entry = self.beside:get_cached_token(true)
    if err ~= nil then
      return nil, err
    elseif following and following.removed then
      return nil, nil, entry
    elseif not following or not token_info.has_refresh_token(following) then
      break
    elseif following.refresh_token == info.refresh_token then
      return later(following, info), nil, entry
    end
    info = following
  end
  return info, nil, entry
end

--- What the session holds; anew: or what that was renewed to.
function Locked:get_cached_token(anew)
  read(self)
  if self.failed ~= nil or self.info == nil or not anew then
    return self.info, self.failed, self.failed
  end
  local info, err, entry = newest(self, self.info)
  if err == nil and info ~= self.info then
    take(self, info)
    self:come_back()
  end
  return info, err, entry
end

--- A renewal keeps the time of the login.
local function is_renewal(old, new)
  return old ~= nil and old.authorized_at == new.authorized_at
end

--- Keeps it for the other requests of the browser, if it is a renewal, and in the session.
function Locked:replace_cached_token(entry, info, good_until, handle)
  local renews = self.beside and is_renewal(self.info, info)
  if renews then
    local replaced, err = self.beside:replace_cached_token(entry, info, good_until,
      handle and handle.inner)
    if not replaced then
      return replaced, err
    end
  end
  take(self, info)
  local ok, err = self:come_back()
  return renews or ok, not renews and err or nil
end

function Locked:save_token_to_cache(info)
  take(self, info)
  return self:come_back()
end

function Locked:remove_cached_token(entry, handle)
  local _, err, there
  if not self.beside then
    _, err, there = self:get_cached_token(true)
    entry = entry or there
  end
  local beside, ok = self.beside, true
  if beside and entry ~= nil then
    ok, err = beside:replace_cached_token(entry, REMOVED, nil, handle and handle.inner)
  elseif beside then
    ok, err = beside:save_token_to_cache(REMOVED)
  end
  if ok == false then
    return true
  elseif not ok then
    return nil, err
  end
  take(self, nil)
  return self:come_back()
end

function Locked:can_save(entry, info, handle)
  if handle and handle.name ~= self.name then
    return false
  elseif self.beside and self.beside.can_save then
    return self.beside:can_save(entry, info, handle and handle.inner)
  end
  return entry
end

--- Why the session cannot be saved any more.
---@return tokencache.Error?
function Locked:refusal()
  if is_away() then
    return self.refused
  end
  return self.session:refusal()
end

--- A session without a refresh token has nothing that could be spent.
function Locked:try_lock(ttl)
  read(self)
  local info = self.info
  if not info or not token_info.has_refresh_token(info) then
    self.name, self.beside = nil, nil
    return {}
  end
  local named, err = name(self, info.refresh_token)
  if not named then
    return nil, err
  end
  local beside = self.beside
  local inner, guard = beside:try_lock(self.store.extend_lock and ttl or math.max(ttl, LOCK_LIFE))
  return inner and { name = self.name, beside = beside, inner = inner } or inner, guard
end

--- The lock is of no use for another refresh token than its own.
function Locked:extend_lock(handle, ttl)
  if handle.name ~= self.name then
    return false
  elseif handle.beside and self.store.extend_lock then
    return handle.beside:extend_lock(handle.inner, ttl)
  end
  return true
end

function Locked:unlock(handle) -- luacheck: ignore 212
  if handle.beside then
    return handle.beside:unlock(handle.inner)
  end
  return true
end

---@param where string    the constructor's name
---@param session table   the session's handler, with `refusal`
---@param store? tokencache.Store  nil: no lock
---@param level integer   the stack level to blame, seen from the caller
---@return table handler
return function(where, session, store, level)
  local lacking = store and options.lacking(store, { "get", "set", "try_lock", "unlock" })
  if lacking then
    error(where .. ": lock must be a store with locks, such as store.redis; it " .. lacking,
      level + 1)
  end
  return store and setmetatable({ session = session, store = store, is_newer = false }, Locked)
    or session
end
