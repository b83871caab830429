-- Logs users in and out, and puts the access token of each into their requests.
--
-- A browser holds one random id from the login on, in the cookie "session". Another one, in the
-- cookie "login", binds a login that has begun to the browser in which it has.
local digest = require("tokencache.key").digest
local json = require "tokencache.json"
local random = require("tokencache.io").random
local tokencache = require "tokencache"

local public_url = os.getenv "PUBLIC_URL" or "http://127.0.0.1:8080"
local token_url = os.getenv "TOKEN_URL"
local store = tokencache.store

local LOGIN_TIME = 600 -- seconds

-- Tokens are kept in files and looked for in the shared dictionary. Several machines take Redis in
-- place of the files: store.redis { host = "..." }
local kept = store.file { directory = ngx.config.prefix() .. "sessions" }
local logins = store.shared_dict(ngx.shared.logins, { evict = true })

tokencache.nginx.owed = ngx.shared.owed

local flow = tokencache.flow.authorization_code {
  provider = token_url and {
    authorize_url = os.getenv "AUTHORIZE_URL", token_url = token_url,
    revocation_url = os.getenv "REVOCATION_URL", issuer = os.getenv "ISSUER",
  } or tokencache.provider.spotify,
  client_id = os.getenv "CLIENT_ID",
  client_secret = os.getenv "CLIENT_SECRET",
  redirect_uri = public_url .. "/callback",
  scope = os.getenv "SCOPE",
  pkce = true,
  store = store.tiered {
    front = store.shared_dict(ngx.shared.tokens, { evict = true }), back = kept,
  },
}

-- An id is as good as a password: who can list the files or the keys finds its digest only.
local function key_of(session)
  return { "session", digest(session) }
end

-- Whether there is such a session, as far as that can be told. Of one that somebody has made up
-- nothing must be left: to log out leaves a mark.
local function is_kept(key)
  local info, err = tokencache.cache.from_store(kept, key):get_cached_token()
  return info ~= nil or err ~= nil
end

local function new_id()
  return (assert(random(32)):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function cookie(name)
  local id = ngx.var["cookie_" .. name]
  return id and #id == 64 and not id:find("%X") and id or nil
end

-- Lax, not Strict: the cookie must come along when the provider sends the browser back.
local ATTRIBUTES = "; HttpOnly; SameSite=Lax" .. (public_url:find("^https:") and "; Secure" or "")

local function session_cookie(id)
  return "session=" .. id .. "; Path=/" .. ATTRIBUTES
end

local function login_cookie(id)
  return "login=" .. id .. "; Path=/callback; Max-Age=" .. (id == "" and 0 or LOGIN_TIME)
    .. ATTRIBUTES
end

local ENDED = session_cookie "" .. "; Max-Age=0"

-- Only to a page of ours: "//host" and "/\host" lead elsewhere, and browsers skip tabs. What is not
-- ASCII has no place in a header, and need not be UTF-8, which JSON must be.
local function local_path(to)
  if not to or not to:find("^/[^/\\]") or to:find("%c") then
    return "/"
  end
  return (to:gsub("[\128-\255]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function redirect(to, cookies)
  ngx.header["Set-Cookie"] = cookies
  ngx.header["Cache-Control"] = "no-store"
  return ngx.redirect(to, 303)
end

local function say(status, message)
  ngx.status = status
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  message = tostring(message):gsub("[&<>\"']", function(c) return ("&#%d;"):format(c:byte()) end)
  ngx.say("<!DOCTYPE html><title>Login</title><p>", message, '<p><a href="/login">Log in</a>')
end

local NOT_NOW = "This does not work at the moment; try again later."

-- What is nobody's fault who sits at a browser.
local function fail(err)
  ngx.log(ngx.ERR, err.kind, ": ", err)
  return say(503, NOT_NOW)
end

local login = {}

-- GET /login?to=/page
function login.begin()
  local url, pending = flow:get_authorize_url()
  if not url then
    return fail(pending)
  end
  local id = new_id()
  local text = assert(json.encode { pending = pending, to = local_path(ngx.var.arg_to
    and ngx.unescape_uri(ngx.var.arg_to)) })
  local ok, err = logins:set(id, text, LOGIN_TIME)
  if not ok then
    return fail(err)
  end
  return redirect(url, login_cookie(id))
end

-- GET /callback?code=...&state=...
function login.finish()
  local id = cookie "login"
  local text = id and logins:get(id)
  if not text then
    return say(400, "No login was begun in this browser, or it was too long ago.")
  end
  logins:delete(id)
  local begun = json.decode(text)
  local session = new_id() -- never one that somebody may have planted in the browser
  local key = key_of(session)
  local ok, err = flow:exchange(ngx.var.request_uri, begun.pending, key)
  if ok and not tokencache.cache.from_store(kept, key):get_cached_token() then
    flow:account(key):log_out() -- what could not be saved is no login
    return say(503, NOT_NOW)
  end
  if not ok and (err.kind == "state" or err.kind == "denied" or err.kind == "reauthorize") then
    return say(403, err)
  elseif not ok and err.kind == "protocol" then
    ngx.log(ngx.ERR, err.kind, ": ", err)
    return say(403, "The answer to this login makes no sense; log in again.")
  elseif not ok then
    return fail(err)
  end
  local former = cookie "session"
  former = former and key_of(former)
  if former and is_kept(former) then
    flow:account(former):remove()
  end
  return redirect(begun.to, { session_cookie(session), login_cookie "" })
end

-- POST /logout
function login.log_out()
  local session = cookie "session"
  local key = session and key_of(session)
  if key and is_kept(key) then
    local ok, err = flow:account(key):log_out()
    if not ok then
      return fail(err)
    elseif err then -- it is removed here, but the provider could not be told
      ngx.log(ngx.WARN, err.kind, ": ", err)
    end
  end
  ngx.header["Set-Cookie"] = ENDED
  return say(200, "You are logged out.")
end

-- A script cannot log in: only what fills the browser's window is sent to the provider.
local function is_a_page()
  return ngx.req.get_method() == "GET" and (ngx.var.http_sec_fetch_mode or "navigate") == "navigate"
end

-- For access_by_lua.
function login.require_user()
  local session = cookie "session"
  local token, err
  if session then
    token, err = flow:account(key_of(session)):get_access_token()
  end
  if token then
    ngx.req.set_header("Authorization", "Bearer " .. token)
  elseif err and err.kind ~= "reauthorize" then
    ngx.log(ngx.ERR, err.kind, ": ", err)
    return ngx.exit(503)
  elseif is_a_page() then
    return redirect("/login?to=" .. ngx.escape_uri(ngx.var.request_uri))
  else
    return ngx.exit(401)
  end
end

return login
