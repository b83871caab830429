--- What a request's cookie leads to: the session as a worker remembers it for a second.

local back_channel = require "tokencache.nginx.login.back_channel"
local cookie = require "tokencache.nginx.login.cookie"
local headers = require "tokencache.nginx.login.headers"
local ngx = require("tokencache.environment").nginx

local session = {}

session.FRONT_TIME = 4  -- seconds that the shared dict is trusted, and
local REMEMBERED = 1    -- that a worker is: a session that has ended is gone everywhere after both

---@class tokencache.LoginSession
---@field id string
---@field account tokencache.Account
---@field token string        its access token
---@field claims table
---@field headers table       of its requests
---@field cookie? string      what of the header Cookie is the application's
---@field until_ number       Unix seconds: it is looked for again then

local function ends_at(gateway, info)
  local since = tonumber(info.authorized_at)
  return since and since + gateway.options.lifetime or math.huge
end

--- Ends a session whose time is over.
local function expire(gateway, account, id)
  gateway.sessions:forget(id)
  account:remove()
end

local function read(gateway, header, account, id)
  local info, err = account:get_token_info()
  if not info then
    return nil, err
  end
  local now, last = ngx.now(), ends_at(gateway, info)
  local has_left
  has_left, err = back_channel.has_ended(gateway, id, info, session.FRONT_TIME)
  if has_left or now >= last then
    return expire(gateway, account, id)
  elseif err then
    return nil, err
  end
  local claims = info.claims or {}
  return {
    id = id,
    account = account,
    token = info.access_token,
    claims = claims,
    headers = headers.of(gateway.options, claims, info.access_token),
    cookie = cookie.of_application(header, gateway.cookies),
    until_ = math.min(now + REMEMBERED, last),
  }
end

--- The session of a request.
---@param gateway tokencache.LoginGateway
---@param header? string  Cookie
---@return tokencache.LoginSession?  nil without an error: there is none
---@return tokencache.Error?
function session.find(gateway, header)
  local remembered = header and gateway.memo:get(header)
  if remembered and ngx.now() < remembered.until_ then
    return remembered
  end
  local value = cookie.read(header, gateway.cookies.session)
  local account, id = gateway.sessions:open(value)
  if not account then
    return nil, id
  end
  local used, err = gateway.sessions:touch(id)
  if used == false then
    return expire(gateway, account, id)
  elseif not used then
    return nil, err
  end
  local found
  found, err = read(gateway, header, account, id)
  if found then
    gateway.memo:set(header, found)
  elseif err and err.kind == "reauthorize" then
    return nil
  end
  return found, err
end

--- Makes this worker look for it again.
---@param gateway tokencache.LoginGateway
---@param header? string
function session.forget(gateway, header)
  if header then
    gateway.memo:delete(header)
  end
end

return session
