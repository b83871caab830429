--- The second half of a login: the browser comes back from the provider.

local answer = require "tokencache.nginx.login.answer"
local begin = require "tokencache.nginx.login.begin"
local cookie = require "tokencache.nginx.login.cookie"
local errors = require "tokencache.error"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local openid = require "tokencache.account.openid"
local options = require "tokencache.util.options"
local renewal = require "tokencache.nginx.login.renewal"
local session = require "tokencache.nginx.login.session"
local text_of_error = require "tokencache.util.text_of_error"

--- What in an ID token is about the token itself.
local OF_TOKEN = { aud = true, exp = true, iat = true, nbf = true, jti = true, nonce = true,
  azp = true, at_hash = true, c_hash = true, s_hash = true }

--- An account that holds the token and keeps nothing.
local function account_of(flow, info)
  return flow:account {
    get_cached_token = function() return info end,
    save_token_to_cache = function() return true end,
  }
end

--- What the provider says of the user, and when, by its clock, it has let the user in.
local function claims_of(gateway, info)
  local claims, err = {}, nil
  local stated = gateway.flow.openid and openid.claims(gateway.flow, info) or {}
  for name, claim in pairs(stated) do
    claims[name] = not OF_TOKEN[name] and claim or nil
  end
  if gateway.options.userinfo then
    local about
    about, err = account_of(gateway.flow, info):userinfo()
    claims = options.merge(claims, about or {})
    err = err and errors.new(err.kind, "userinfo: " .. tostring(err))
  end
  return not err and claims or nil, err, stated.iat
end

--- Whether the user may come in.
---@return boolean?  nil: that cannot be told
---@return tokencache.Error?
local function is_allowed(gateway, claims)
  local allow = gateway.options.allow
  if not allow then
    return true
  end
  local ok, allowed = pcall(allow, claims)
  if not ok then
    return nil, errors.new("config", "allow raised: " .. text_of_error(allowed))
  end
  return allowed and true or false
end

local function again(gateway)
  return '<p><a href="' .. gateway.options.path .. 'login">Log in</a>'
end

--- This tab's login is not known any more; but that of another tab may have gone well, or this one,
--- if its page is loaded again. No session comes of the request itself, so it cannot be forged.
local function refuse_unknown(gateway, status, message)
  if session.find(gateway, ngx.var.http_cookie) then
    return answer.redirect "/"
  end
  return answer.page(gateway, status, message, again(gateway))
end

--- A login that failed.
local function refuse(gateway, err, name)
  if err.kind == "state" then -- the cookie is that of another tab's login, which goes on
    return refuse_unknown(gateway, 403, tostring(err))
  end
  local gone = { cookie.write(gateway.cookies, name, "") }
  if err.kind == "transient" or err.kind == "timeout" then -- to reload is to try again
    return answer.unavailable(gateway, err, err.retry_after)
  elseif err.kind == "denied" or err.kind == "reauthorize" then
    return answer.page(gateway, 403, tostring(err), again(gateway), gone)
  elseif err.kind == "protocol" then -- the provider's answer, or this machine's clock
    answer.note(err)
    return answer.page(gateway, 500, "The login failed, and will most likely fail again. Please "
      .. "tell those who run this site: its error log says why.", nil, gone)
  end
  return answer.unavailable(gateway, err, nil, gone)
end

--- Ends the session that the browser had before.
local function end_former(gateway, header)
  local account, id = gateway.sessions:open(cookie.read_session(header, gateway.cookies))
  if account then
    gateway.sessions:forget(id)
    local ok, err = account:remove()
    if not ok then
      log.warning("the session before this login could not be ended: ", err)
    end
  end
  session.forget(gateway, header)
end

---@param gateway tokencache.LoginGateway
return function(gateway)
  local begun, name = begin.read(gateway)
  if not begun then
    return refuse_unknown(gateway, 400,
      "No login was begun in this browser, or it was too long ago.")
  end
  local may_ask, away = renewal.may_ask(gateway)
  if not may_ask then
    return refuse(gateway, away, name)
  end
  local is_denied
  local value, err = gateway.sessions:log_in(ngx.var.request_uri, begun.pending, function(info)
    local claims, why, began_at = claims_of(gateway, info)
    if not claims then
      return nil, why
    end
    info.claims, info.began_at = claims, began_at
    local allowed, problem = is_allowed(gateway, claims)
    is_denied = allowed == false
    return allowed, problem or "this user is not allowed in"
  end)
  renewal.asked(gateway, not is_denied and err or nil)
  if is_denied then
    return answer.page(gateway, 403, "You have no access here.", again(gateway),
      { cookie.write(gateway.cookies, name, "") })
  elseif not value then
    return refuse(gateway, err, name)
  end
  local header = ngx.var.http_cookie
  end_former(gateway, header)
  local cookies = cookie.write_session(gateway.cookies, value, header)
  cookies[#cookies + 1] = cookie.write(gateway.cookies, name, "")
  return answer.redirect(begun.to, cookies)
end
