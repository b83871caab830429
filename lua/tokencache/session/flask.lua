--- Opens the session of a Flask application.
---
--- How this room is built. A session is three things, and each is a file or two:
---
---     object.lua        what the program holds: session.token_info, modified, set_cookie, save
---     signing.lua       payload, timestamp, signature, by the secret keys    (a text <-> bytes)
---     serializers.lua   JSON, tagged JSON, pickle                            (bytes <-> a table)
---     kept.lua          sessions on the server: read, compare and set, in any store; there are
---                       files.lua and luasql.lua beside the stores of tokencache.store
---
--- flask.lua and django.lua say which of them an engine takes, and what it calls its entries.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local object = require "tokencache.session.object"
local options = require "tokencache.util.options"
local set_cookie = require "tokencache.session.set_cookie"
local signing = require "tokencache.session.signing"
local tagged_json = require "tokencache.session.tagged_json"

local WHERE = "session.flask"

local RULES = options.merge(set_cookie.RULES, {
  secret_key = { { "string", "table" }, required = true },
  cookie_name = { "string", default = "session" },
  salt = { "string", default = "cookie-session" },
  max_age = { "number>0", default = 31 * 86400 },
  clock = { "callable", default = core.now },
})

--- Big-endian bytes, as few as it takes.
local function read_time(text)
  local bytes, seconds = core.base64url_decode(text), 0
  if not bytes or #bytes > 6 then
    return nil
  end
  for i = 1, #bytes do
    seconds = seconds * 256 + bytes:byte(i)
  end
  return seconds
end

local function write_time(seconds)
  local bytes = ""
  while seconds > 0 do
    bytes = string.char(seconds % 256) .. bytes
    seconds = math.floor(seconds / 256)
  end
  return core.base64url_encode(bytes)
end

--- itsdangerous, as Flask sets it up.
---@return tokencache.SigningFormat
local function format_of(salt)
  return { separator = ".", digest = "sha1", read_time = read_time, write_time = write_time,
    key = function(secret) return crypto.hmac("sha1", secret, salt) end }
end

local function read_cookie(checked, format, secrets)
  local bytes, err = signing.open(WHERE, format, secrets, checked.cookie, checked.max_age,
    checked.clock())
  if not bytes then
    return nil, err
  end
  local values, problem = tagged_json.decode(bytes)
  if type(values) ~= "table" or values[1] ~= nil then
    return signing.fail(WHERE, "DAMAGED", "the session is no JSON object"
      .. (problem and ": " .. problem or ""))
  end
  return values
end

--- The header that brings the session to the browser.
local function write_cookie(state, checked, format, secrets)
  if not state.modified then
    return nil
  elseif next(state.values) == nil then
    return set_cookie.write(WHERE, checked, "")
  end
  local bytes, problem = tagged_json.encode(state.values)
  if not bytes then
    return signing.fail(WHERE, "UNFIT", problem)
  end
  local now = checked.clock()
  local text, err = signing.write(format, secrets, bytes, now)
  if not text then
    return nil, err
  end
  return set_cookie.write(WHERE, checked, text, state.values._permanent == true
    and now + checked.max_age or nil)
end

---@class tokencache.FlaskSessionOptions
---@field secret_key string|string[]  the application's; of several the first signs
---@field cookie? string       the cookie's value; nil or "": a new session
---@field cookie_name? string  default "session"
---@field salt? string         default "cookie-session"
---@field max_age? number      PERMANENT_SESSION_LIFETIME in seconds; default 31 days
---@field path? string         of the cookie, as are domain, secure, http_only and same_site

---@param opts tokencache.FlaskSessionOptions
---@return tokencache.Session?
---@return tokencache.Error?
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local problem = set_cookie.problem(checked)
  if problem then
    error(WHERE .. ": " .. problem, 2)
  end
  local secrets = signing.secrets(WHERE, checked.secret_key, 2)
  local format, values, err = format_of(checked.salt), {}, nil
  if checked.cookie and checked.cookie ~= "" then
    values, err = read_cookie(checked, format, secrets)
  end
  return values and object.new {
    values = values,
    set_cookie = function(state) return write_cookie(state, checked, format, secrets) end,
  }, err
end
