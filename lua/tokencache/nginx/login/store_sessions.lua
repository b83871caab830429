--- Sessions in a store: a browser holds a random id, the store has an account at its digest.
---
--- This is one *place* of sessions; each has these methods. `value` is what the browser holds.

local core = require "tokencache._core"
local digest = require("tokencache.key").digest
local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx
local observer = require "tokencache.observer"
local random = require("tokencache.io").random
local revocation = require "tokencache.account.revocation"

local RANDOM_BYTES = 32
local ID_PATTERN = "^" .. ("[%w_-]"):rep(43) .. "$" -- as many in base64url
local USED = "login-used:"  -- in the shared dict: its use need not be noted
local ROOM = "login-room:"  -- and: why nothing could be written, kind first; "" where it could
local TRIED, FAILED = 5, 1
local NOTED_AT = 20 -- a use is noted anew after this part of the idle time

---@class tokencache.StoreSessions
---@field package flow tokencache.UserFlow
---@field package store tokencache.Store
---@field package dict table
---@field package idle_timeout number
---@field noted_for number  seconds: a use need not be noted so soon after another
---@field package place string
local Sessions = {}
Sessions.__index = Sessions

--- The id of a session. It is bound to provider and client: another gateway that shares the store,
--- or the dict, has other ids.
---@param value string  the secret that a browser has
---@return string
function Sessions:id_of(value)
  return digest(self.place .. value)
end

--- The account of a session.
---@param value? string
---@return tokencache.Account?  nil without an error: there is no such session
---@return string|tokencache.Error|nil  its id: not secret, and the same in all workers
function Sessions:open(value)
  if not value or not value:find(ID_PATTERN) then
    return nil
  end
  local id = self:id_of(value)
  local key = "session:" .. id
  local bytes, err = self.store:get(key)
  if bytes == nil then
    return nil, err ~= nil and errors.wrap("cache", err) or nil
  end
  return self.flow:account(key), id
end

--- An error of the kind that what went wrong has: a wrong set-up stays one.
local function failure(what, problem)
  local err = errors.wrap("cache", problem)
  return errors.new(err.kind, what .. ": " .. err.message)
end

--- Tries whether a login could be kept.
---@return true?
---@return tokencache.Error?
function Sessions:try_room()
  local ok, err = self.store:set("session-room:" .. self.place, "1", TRIED)
  if errors.has_failed(ok, err) then
    return nil, failure("no session could be kept", err or "it cannot be written")
  end
  return true
end

--- Reports the same as it was lately in any worker: nobody is to log in in vain.
---@return true?
---@return tokencache.Error?
function Sessions:has_room()
  local problem = self.dict:get(ROOM .. self.place)
  if not problem then
    local ok, err = self:try_room()
    problem = ok and "" or err.kind .. ":" .. err.message
    self.dict:set(ROOM .. self.place, problem, problem == "" and TRIED or FAILED)
  end
  if problem == "" then
    return true
  end
  local kind, message = problem:match "^(%l+):(.*)$"
  return nil, errors.new(kind, message)
end

--- Finishes a login in a new session.
---@param response_url string
---@param pending string
---@param admit fun(info: tokencache.TokenInfo): boolean?, any  may add to it; nil: nobody may have
---   this login, and why
---@return string? value  for the browser
---@return tokencache.Error?
function Sessions:log_in(response_url, pending, admit)
  local bytes, err = random(RANDOM_BYTES)
  if not bytes then
    return nil, err
  end
  local value = core.base64url_encode(bytes)
  local id = self:id_of(value)
  local key = "session:" .. id
  local info
  info, err = self.flow:exchange(response_url, pending, function(got)
    local admitted, why = admit(got)
    return admitted and key, why
  end)
  if not info then
    return nil, err
  end
  local kept, problem = self.store:get(key)
  if kept == nil then -- what could not be saved is no login
    local account = self.flow:account(key)
    local known = account.process:known(account.id)
    problem = known and known.owed and known.owed.problem or problem or "the store has lost it"
    if not account:log_out() then
      revocation(self.flow, info, self.flow.timeout)
    end
    return nil, failure("the session could not be kept", problem)
  end
  self:note_use(id)
  return value
end

---@param id string
function Sessions:note_use(id)
  local now = ngx.time()
  self.store:set("session-use:" .. id, ("%d"):format(now), math.ceil(self.idle_timeout))
  local is_noted = self.dict:add(USED .. id, true, self.noted_for)
  if is_noted and observer.on then -- else another worker was faster
    observer.emit("session", self)
  end
end

--- Notes that a session is used.
---@param id string
---@return boolean?  false: it was not used for too long; nil: that cannot be told
---@return tokencache.Error?
function Sessions:touch(id)
  if self.dict:get(USED .. id) then
    return true
  end
  local text, err = self.store:get("session-use:" .. id)
  if text == nil and err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  local at = tonumber(text)
  if not at or ngx.time() - at > self.idle_timeout then
    return false
  end
  self:note_use(id)
  return true
end

--- Removes what is kept beside the account.
---@param id string
function Sessions:forget(id)
  self.dict:delete(USED .. id)
  if self.store.delete then
    self.store:delete("session-use:" .. id)
  end
end

local store_sessions = { methods = Sessions }

---@param flow tokencache.UserFlow
---@param dict table  ngx.shared.NAME
---@param checked table  options
---@return tokencache.StoreSessions
function store_sessions.new(flow, dict, checked)
  return setmetatable({ flow = flow, store = flow.store, dict = dict,
    idle_timeout = checked.idle_timeout, noted_for = checked.idle_timeout / NOTED_AT,
    place = checked.place }, Sessions)
end

return store_sessions
