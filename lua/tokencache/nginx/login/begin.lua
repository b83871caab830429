--- The first half of a login: to the provider. What has to be kept until the user comes back is in
--- a cookie of the browser's, sealed, so that logins nobody finishes leave nothing behind. There
--- are a few such cookies, for the tabs of a browser that log in at the same time.

local answer = require "tokencache.nginx.login.answer"
local authorization = require "tokencache.authorization"
local cookie = require "tokencache.nginx.login.cookie"
local json = require "tokencache.json"
local log = require "tokencache.log"
local ngx = require("tokencache.environment").nginx

local begin = {}

local LOGIN_TIME = 600   -- seconds
local COOKIES = 16
local LONGEST_PATH = 2000 -- bytes: a browser takes 4096 for a cookie

local ROOM = 6000 -- bytes of a header Cookie: nginx takes 8k, and the session comes along, too

--- Which of the cookies.
local function name_for(gateway, state)
  return gateway.cookies.login .. state:byte() % COOKIES
end

local function bound(gateway)
  return "login " .. gateway.options.place .. " " .. gateway.options.public_url
end

--- Only to a page of ours: "//host" and "/\host" lead elsewhere, and browsers skip tabs. What is
--- not ASCII has no place in a header, and need not be UTF-8, which JSON must be.
---@param to? string
---@return string
function begin.local_path(to)
  if not to or not to:find("^/[^/\\]") or to:find("%c") or #to > LONGEST_PATH then
    return "/"
  end
  return (to:gsub("[\128-\255]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- The cookie of this login; and where they get too many bytes, as any page can make them, the end
--- of those of others. Nginx would refuse all requests of the browser's.
local function cookies_for(gateway, state, text)
  local header, name = ngx.var.http_cookie or "", name_for(gateway, state)
  local cookies = { cookie.write(gateway.cookies, name, text, LOGIN_TIME) }
  if #header + #text > ROOM then
    for i = 0, COOKIES - 1 do
      local other = gateway.cookies.login .. i
      if other ~= name and header:find(other .. "=", 1, true) then
        cookies[#cookies + 1] = cookie.write(gateway.cookies, other, "")
      end
    end
  end
  return cookies
end

--- A login would add its cookie to the two, and the browser would be back here at once.
local function refuse_two(gateway, name)
  log.repeated("warning", "cookies: " .. name, 'a browser has two cookies "', name, '": another '
    .. "server of its domain sets one of that name, or cookie.domain was changed; choose another "
    .. "cookie.name")
  return answer.page(gateway, 400, ('Your browser has two cookies "%s" for this site, and one is '
    .. "not ours. Delete the cookies of this site, and open the page again."):format(name))
end

--- Sends the browser to the provider.
---@param gateway tokencache.LoginGateway
---@param to? string  a path, where it goes after the login
function begin.start(gateway, to)
  local name = gateway.cookies.session
  local _, is_double = cookie.read(ngx.var.http_cookie, name)
  if is_double then
    return refuse_two(gateway, name)
  end
  local ok, problem = gateway.sessions:has_room()
  if not ok then
    return answer.unavailable(gateway, problem)
  end
  local url, pending, text
  local state, err = authorization.random_text(gateway.flow) -- a pushed request's URL has none
  if state then
    url, pending = gateway.flow:get_authorize_url { state = state }
    err = pending
  end
  if url then
    text, err = gateway.sealer.seal(bound(gateway),
      json.encode { pending = pending, to = begin.local_path(to) })
  end
  if not text then
    return answer.unavailable(gateway, err)
  end
  return answer.redirect(url, cookies_for(gateway, state, text))
end

--- What the browser has kept of the login that it comes back from.
---@param gateway tokencache.LoginGateway
---@return { pending: string, to: string }?
---@return string? name  of the cookie
function begin.read(gateway)
  local state = ngx.req.get_uri_args().state
  if type(state) ~= "string" or state == "" then
    return nil
  end
  local name = name_for(gateway, state)
  local text = cookie.read(ngx.var.http_cookie, name)
  text = text and gateway.sealer.open(bound(gateway), text)
  return text and json.decode(text), name
end

return begin
