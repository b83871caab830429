-- A web application whose users log in at a provider: both halves of a login, in two requests.
-- The provider is Spotify, with SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET set, or whoever ISSUER
-- names, with CLIENT_ID and CLIENT_SECRET; USER_URL is where it tells who a token's user is.
-- Register the redirect URI there: http://127.0.0.1:8080/callback
--
-- The server below does one request at a time, to stay short; take a real one.
local json = require "tokencache.json"
local random = require("tokencache.io.blocking").random
local socket = require "socket"
local tokencache = require "tokencache"
local transport = require("tokencache.transport.curl").new()

local server = assert(socket.bind("127.0.0.1", tonumber(os.getenv "PORT" or 8080)))
local home = "http://127.0.0.1:" .. select(2, server:getsockname())

local issuer = os.getenv "ISSUER"
local user_url = os.getenv "USER_URL" or not issuer and "https://api.spotify.com/v1/me"
  or error "USER_URL is missing: a user's token is shown to nobody but its own provider"

-- One flow for all users, made once. An application would keep their logins in Redis or in files.
local flow = tokencache.flow.authorization_code {
  provider = issuer and { issuer = issuer } or tokencache.provider.spotify,
  client_id = os.getenv "CLIENT_ID",
  client_secret = os.getenv "CLIENT_SECRET",
  redirect_uri = home .. "/callback",
  scope = os.getenv "SCOPE",
  pkce = true,
  authorize = false, -- the users are elsewhere: nobody at this terminal can log in for them
  store = tokencache.store.memory(),
}

-- A browser gets nothing but a key of this, in a cookie. An application would use a database.
local sessions = {}

local function new_session(content)
  local id = random(32):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  sessions[id] = content
  -- Lax, not Strict: the cookie must come along when the provider sends the browser back.
  -- With https, which anything but loopback needs, add "; Secure".
  return "session=" .. id .. "; Path=/; HttpOnly; SameSite=Lax"
end

local function escape(text)
  return (tostring(text):gsub("[&<>\"']", function(c) return ("&#%d;"):format(c:byte()) end))
end

local function page(status, html)
  return { status = status, body = "<!DOCTYPE html><title>Example</title>" .. html }
end

local function redirect(url, cookie)
  return { status = "303 See Other", location = url, cookie = cookie }
end

local function user_name(token)
  local response, err = transport:request {
    method = "GET", url = user_url, headers = { Authorization = "Bearer " .. token },
  }
  if not response or response.status ~= 200 then
    return nil, err or ("the provider answered with status " .. response.status)
  end
  local user = json.decode(response.body) or {} -- `id` at Spotify, `sub` in OpenID Connect
  return user.id or user.sub, "the provider did not say who you are"
end

local LOG_IN = '<p><a href="/login">Log in</a>'

local actions = {}

actions["GET /"] = function(session)
  local token, err
  if session and session.user then
    token, err = flow:account { "user", session.user }:get_access_token() -- renewed when due
  end
  if token then
    return page("200 OK", "<p>You are logged in as " .. escape(session.user) .. "."
      .. '<form method="post" action="/logout"><button>Log out</button></form>')
  end
  return err and err.kind ~= "reauthorize" and page("502 Bad Gateway", "<p>" .. escape(err))
    or page("200 OK", "<p>You are not logged in." .. LOG_IN)
end

actions["GET /login"] = function(session)
  local url, pending = flow:get_authorize_url()
  if not url then
    return page("500 Internal Server Error", "<p>Not now: " .. escape(pending))
  end
  if session then
    session.pending = pending
    return redirect(url)
  end
  return redirect(url, new_session { pending = pending })
end

actions["GET /callback"] = function(session, id, target)
  local pending = session and session.pending
  if not pending then
    return page("400 Bad Request", "<p>No login was begun in this browser." .. LOG_IN)
  end
  session.pending = nil
  local user, why
  local info, err = flow:exchange(target, pending, function(info)
    user, why = user_name(info.access_token)
    return user and { "user", user }, why
  end)
  if not info then
    return page("403 Forbidden", "<p>" .. escape(err) .. LOG_IN)
  end
  sessions[id] = nil -- a new id: whoever knew the old one must not be logged in with it
  return redirect("/", new_session { user = user })
end

-- By POST: SameSite=Lax keeps the cookie out of those that other sites send.
actions["POST /logout"] = function(session, id)
  sessions[id] = nil
  if session and session.user then
    flow:account { "user", session.user }:log_out()
  end
  return redirect("/", "session=; Path=/; Max-Age=0")
end

local function read_request(client)
  local method, target = (client:receive() or ""):match("^(%u+) (/%S*) HTTP/1")
  local id
  repeat
    local header = client:receive()
    id = id or (header or ""):match("^[Cc]ookie:.*%f[%w_]session=(%x+)")
  until not header or header == ""
  return method or "", target or "", id or ""
end

local function write_response(client, response)
  local body = response.body or ""
  client:send("HTTP/1.1 " .. response.status .. "\r\n"
    .. (response.location and "Location: " .. response.location .. "\r\n" or "")
    .. (response.cookie and "Set-Cookie: " .. response.cookie .. "\r\n" or "")
    .. "Content-Type: text/html; charset=utf-8\r\nContent-Length: " .. #body .. "\r\n"
    .. "Cache-Control: no-store\r\nConnection: close\r\n\r\n" .. body)
end

print("Open " .. home .. "/ in a browser")
io.stdout:flush()
while true do
  local client = assert(server:accept())
  client:settimeout(5)
  local method, target, id = read_request(client)
  local action = actions[method .. " " .. target:match("^[^?]*")]
  write_response(client, action and action(sessions[id], id, target)
    or page("404 Not Found", "<p>There is nothing here."))
  client:close()
end
