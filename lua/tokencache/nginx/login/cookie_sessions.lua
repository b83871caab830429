--- Sessions in cookies: a browser holds its login itself, sealed. One of the places of sessions, as
--- store_sessions.lua is, on which it stands.
---
--- While a session is in use its account is in the shared dict too, where the workers renew it
--- under its lock and find the newest token; a browser whose cookie is older is given a newer one.
--- Of two tokens the one that was received later is newer. That may be the cookie's: the dict may
--- have lost it, or another machine have got it. What has ended is marked in the dict: a
--- copy of its cookie does not bring it back.

local errors = require "tokencache.error"
local json = require "tokencache.json"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local store_sessions = require "tokencache.nginx.login.store_sessions"
local token_info = require "tokencache.token_info"

local TEXT = "^1 (%d+) (%S+) (.*)$" -- when it was used last, its secret id, and its token_info
local OVER = "login-over:"          -- in the shared dict: the session of that id has ended

---@class tokencache.CookieSessions: tokencache.StoreSessions
---@field package sealer tokencache.LoginSealer
---@field package bound string
---@field package lifetime number
---@field package most number  bytes
---@field is_at_browser true   a renewal must end in the answer to a request: on another machine the
---                            browser's former token would be spent
local Sessions = setmetatable({ is_at_browser = true }, { __index = store_sessions.methods })
Sessions.__index = Sessions

---@class tokencache.SessionInCookie
---@field id string
---@field secret string
---@field used number   Unix seconds
---@field bytes string  the token_info

local function key_of(id)
  return "session:" .. id
end

--- What is there of a session: the token_info without the blanks by which the store has shown that
--- it has room, and as it is.
local function entry_of(self, id)
  local entry, err = self.store:get(key_of(id))
  return entry and entry:match "^(.-) *$", entry, err
end

local function received_at(bytes)
  local info = json.decode(bytes) or {}
  return (token_info.known_end(info) or 0) - (tonumber(info.expires_in) or 0), info
end

---@return string?
---@return tokencache.Error?
local function seal(self, from_cookie)
  local text, err = self.sealer.seal(self.bound,
    ("1 %.0f %s %s"):format(from_cookie.used, from_cookie.secret, from_cookie.bytes))
  if text and #text > self.most then
    return nil, errors.new("config", ("this session takes %d bytes of cookies, more than "
      .. "cookie.max_bytes (%d); nginx takes 8k of them unless large_client_header_buffers says "
      .. "more: raise both, or keep sessions in a store"):format(#text, self.most))
  end
  return text, err
end

---@return tokencache.SessionInCookie?
local function unseal(self, value)
  local text = value and self.sealer.open(self.bound, value)
  local used, secret, bytes = (text or ""):match(TEXT)
  return used and { used = tonumber(used), secret = secret, bytes = bytes,
    id = self:id_of(secret) }
end

--- Reports whether it was used lately, as the dict or the cookie tells.
local function is_in_use(self, from_cookie)
  local key = "session-use:" .. from_cookie.id
  local left = from_cookie.used + self.idle_timeout - ngx.time()
  return self.store:get(key) ~= nil
    or left > 0 and self.store:set(key, ("%.0f"):format(from_cookie.used), left) or false
end

--- Puts into the dict what is newer in the cookie.
---@return boolean? done  false: the session's time is over
---@return tokencache.Error?
local function restore(self, from_cookie)
  local bytes, entry, err = entry_of(self, from_cookie.id)
  if bytes == from_cookie.bytes or err ~= nil then
    return err == nil or nil, err
  end
  local at, info = received_at(from_cookie.bytes)
  local left = (tonumber(info.authorized_at) or 0) + self.lifetime - ngx.time()
  if left <= 0 then
    return false
  elseif not bytes or received_at(bytes) < at then
    local ok
    ok, err = self.store:replace(key_of(from_cookie.id), entry, from_cookie.bytes, left)
    return ok ~= nil or nil, err -- false: another has put it there
  end
  return true
end

---@param value? string
---@return tokencache.Account?
---@return string|tokencache.Error|nil
---@return tokencache.SessionInCookie?  what the browser has
function Sessions:open(value)
  local from_cookie = unseal(self, value)
  if not from_cookie or self.dict:get(OVER .. from_cookie.id) then
    return nil
  end
  local ok, err = is_in_use(self, from_cookie)
  if ok then
    ok, err = restore(self, from_cookie)
  end
  if not ok then
    return nil, err and errors.wrap("cache", err)
  end
  return self.flow:account(key_of(from_cookie.id)), from_cookie.id, from_cookie
end

--- What the browser is to have instead; nil: it has that.
---@param from_cookie tokencache.SessionInCookie
---@return string? value
function Sessions:newer(from_cookie)
  local bytes = entry_of(self, from_cookie.id)
  local used = tonumber((self.store:get("session-use:" .. from_cookie.id)))
  if not bytes or not used or bytes == from_cookie.bytes and used <= from_cookie.used then
    return nil
  end
  local value, err = seal(self, { used = used, secret = from_cookie.secret, bytes = bytes })
  if not value then
    log.repeated("warning", "cookie: " .. err.kind, "a session's cookie is not renewed: ", err)
  end
  return value
end

function Sessions:log_in(response_url, pending, admit)
  local secret, err = store_sessions.methods.log_in(self, response_url, pending, admit)
  if not secret then
    return nil, err
  end
  local id = self:id_of(secret)
  local value
  value, err = seal(self, { used = ngx.time(), secret = secret, bytes = entry_of(self, id) })
  if not value then
    self:forget(id)
    self.flow:account(key_of(id)):log_out()
  end
  return value, err
end

function Sessions:forget(id)
  self.dict:set(OVER .. id, true, self.lifetime)
  store_sessions.methods.forget(self, id)
end

---@param flow tokencache.UserFlow
---@param dict table
---@param checked table  options
---@param sealer tokencache.LoginSealer
---@return tokencache.CookieSessions
return function(flow, dict, checked, sealer)
  local self = setmetatable(store_sessions.new(flow, dict, checked), Sessions)
  self.sealer, self.lifetime, self.most = sealer, checked.lifetime, checked.cookie.max_bytes
  self.bound = "session " .. checked.place .. " " .. checked.public_url
  return self
end
