--- Ends a session: here, and at the provider.

local answer = require "tokencache.nginx.login.answer"
local cookie = require "tokencache.nginx.login.cookie"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx
local session = require "tokencache.nginx.login.session"

local BUTTON = '<form method="post"><button>Log out</button></form>'

--- Reports whether it is a page of ours that sends the request.
---@return boolean?  nil: it does not say; browsers that do not are too old
local function is_ours(gateway)
  local site, origin = ngx.var.http_sec_fetch_site, ngx.var.http_origin
  if site then
    return site == "same-origin"
  elseif origin then
    return origin == gateway.options.public_url
  end
  local page = ngx.var.http_referer
  return page and (page .. "/"):find(gateway.options.public_url .. "/", 1, true) == 1
end

--- Where the browser goes then; nil: nowhere.
local function next_page(gateway, account)
  local to = gateway.options.after_logout
  local ours = to and to:sub(1, 1) == "/" and gateway.options.public_url .. to or to
  if not account or not gateway.options.end_session then
    return ours
  end
  local url, err = account:end_session_url { post_logout_redirect_uri = ours }
  if not url and err.kind ~= "config" then -- else the provider has no such thing
    log.warning("the session at the provider is not ended: ", err)
  end
  return url or ours
end

---@param gateway tokencache.LoginGateway
return function(gateway)
  local by_us = is_ours(gateway)
  if ngx.req.get_method() ~= "POST" then
    return answer.page(gateway, 200, "Do you want to log out?", BUTTON)
  elseif by_us == nil then
    return answer.page(gateway, 403,
      "A request to log out must say where it comes from (Origin).", BUTTON)
  elseif not by_us then
    return answer.page(gateway, 403, "A page of another site wants to log you out.", BUTTON)
  end
  local header = ngx.var.http_cookie
  local account, id = gateway.sessions:open(cookie.read_session(header, gateway.cookies))
  if not account and id then
    return answer.unavailable(gateway, id)
  end
  local to = next_page(gateway, account)
  if account then
    gateway.sessions:forget(id)
    local ok, err = account:log_out()
    if not ok then
      return answer.unavailable(gateway, err)
    elseif err then -- it is removed here, but the provider could not be told
      log.warning("log out: ", err.kind ~= "cache"
        and "the login is ended here, but not revoked at the provider: " or "", err)
    end
    session.forget(gateway, header)
  end
  local gone = cookie.write_session(gateway.cookies, "", header)
  if to then
    return answer.redirect(to, gone)
  end
  return answer.page(gateway, 200, "You are logged out.",
    '<p><a href="' .. gateway.options.path .. 'login">Log in</a>', gone)
end
