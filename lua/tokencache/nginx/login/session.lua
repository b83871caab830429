--- What a request's cookie leads to: the session as a worker remembers it for a second.

local back_channel = require "tokencache.nginx.login.back_channel"
local cookie = require "tokencache.nginx.login.cookie"
local headers = require "tokencache.nginx.login.headers"
local json = require "tokencache.json"
local ngx = require("tokencache.environment").nginx
local renewal = require "tokencache.nginx.login.renewal"

local flat = require("tokencache.token_info").flat

local session = {}

session.FRONT_TIME = 4  -- seconds that the shared dict is trusted, and
local REMEMBERED = 1    -- that a worker is: a session that has ended is gone everywhere after both;
                        -- but no longer than a use is noted for, as such uses are not noted

---@class tokencache.LoginSession
---@field id string
---@field account tokencache.Account
---@field info tokencache.TokenInfo
---@field user tokencache.PassedUser
---@field cookie? string      what of the header Cookie is the application's
---@field from_cookie? tokencache.SessionInCookie  what the browser has, where that is all of it
---@field ends_at number      Unix seconds: by its lifetime
---@field word? string        the provider's last word of leaving that was heeded
---@field until_ number       Unix seconds: it is looked for again then

local LONG = 3000 -- bytes of a header Cookie: who has one session can send as many as he likes

local function memo_for(gateway, header)
  return #header > LONG and gateway.memo_of_long or gateway.memo
end

--- Ends a session whose time is over.
local function expire(gateway, account, id)
  gateway.sessions:forget(id)
  account:remove()
end

--- The program gets the claims, and may change what it gets; not what the cache holds.
local function copy_of(value)
  if type(value) ~= "table" or value == json.null then
    return value
  end
  local copy = {}
  for key, part in pairs(value) do
    copy[key] = copy_of(part)
  end
  return copy
end

local function make(gateway, header, account, id, info)
  local claims, since = info.claims or {}, tonumber(info.authorized_at)
  return {
    id = id,
    account = account,
    info = info,
    user = {
      claims = copy_of(claims),
      headers = headers.of(gateway.options, claims, info.access_token),
    },
    cookie = cookie.of_application(header),
    ends_at = since and since + gateway.options.lifetime or math.huge,
    until_ = 0,
  }
end

--- Looks into the place of sessions.
---@param remembered? tokencache.LoginSession
local function look(gateway, header, remembered)
  local account, id, from_cookie
  if remembered and not remembered.from_cookie then
    account, id = remembered.account, remembered.id
  else
    account, id, from_cookie = gateway.sessions:open(cookie.read_session(header, gateway.cookies))
  end
  if not account then
    return nil, id
  end
  local used, err = gateway.sessions:touch(id)
  if used == false then
    return expire(gateway, account, id)
  elseif not used then
    return nil, err
  end
  local info
  info, err = renewal.token_info(gateway, account, id)
  if not info then
    return nil, err and err.kind ~= "reauthorize" and err or nil
  end
  local current = remembered
  if not current or current.info ~= info then
    current = make(gateway, header, account, id, info)
    current.from_cookie = from_cookie
    memo_for(gateway, header):set(header, current)
  end
  local now = ngx.now()
  local has_left
  has_left, err = back_channel.has_ended(gateway, current, session.FRONT_TIME)
  if has_left or now >= current.ends_at then
    return expire(gateway, account, id)
  elseif err then
    return nil, err
  end
  local newer = from_cookie and gateway.sessions:newer(from_cookie)
  if newer then
    cookie.give(cookie.write_session(gateway.cookies, newer, header))
  end
  current.until_ = math.min(now + math.min(REMEMBERED, gateway.sessions.noted_for),
    current.ends_at)
  if not gateway.flow.client:works(current.until_, flat(info)) then
    current.until_ = now
  end
  return current
end

--- The session of a request.
---@param gateway tokencache.LoginGateway
---@param header? string  Cookie
---@return tokencache.LoginSession?  nil without an error: there is none
---@return tokencache.Error?
function session.find(gateway, header)
  local remembered = header and memo_for(gateway, header):get(header)
  if remembered and ngx.now() < remembered.until_ then
    return remembered
  end
  local current, err = look(gateway, header, remembered)
  if remembered and not current then
    memo_for(gateway, header):delete(header)
  end
  return current, err
end

--- Makes this worker look for it again.
---@param gateway tokencache.LoginGateway
---@param header? string
function session.forget(gateway, header)
  if header then
    memo_for(gateway, header):delete(header)
  end
end

return session
