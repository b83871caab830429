--- Opens the session of a Flask application.
---
--- How this room is built. A session is three things, and each is a file or two:
---
---     object.lua        what the program holds: session.token_info, modified, set_cookie, save
---     signing.lua       payload, timestamp, signature, by the secret keys    (a text <-> bytes)
---     serializers.lua   JSON, tagged JSON, pickle, MessagePack               (bytes <-> a table)
---     kept.lua          sessions on the server: read, compare and set, in any store; there are
---                       files.lua and luasql.lua beside the stores of tokencache.store
---
--- flask.lua and django.lua say which of them an engine takes, and what it calls its entries.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local files = require "tokencache.session.files"
local kept = require "tokencache.session.kept"
local object = require "tokencache.session.object"
local options = require "tokencache.util.options"
local serializers = require "tokencache.session.serializers"
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
  -- of Flask-Session
  store = { "object" },
  directory = { "string" },
  allow_foreign = { "boolean" },
  key_prefix = { "string", default = "session:" },
  serializer = { "string", default = "pickle" },
  use_signer = { "boolean" },
  permanent = { "boolean", default = true },
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
local format_of = signing.formats(function(salt)
  return { separator = ".", pattern = "^((%.?[%w_-]*)%.([%w_-]+))%.([%w_-]+)$",
    digest = "sha1", read_time = read_time, write_time = write_time,
    key = function(secret) return crypto.hmac("sha1", secret, salt) end }
end)

--- The values that a serializer makes of bytes.
local function decode(serializer, bytes)
  local values, problem = serializer.decode(bytes)
  if type(values) ~= "table" or values[1] ~= nil then
    return signing.fail(WHERE, "DAMAGED", "the session is no object"
      .. (problem and ": " .. problem or ""))
  end
  return values
end

local function encode(serializer, values)
  local bytes, problem = serializer.encode(values)
  if not bytes then
    return signing.fail(WHERE, "UNFIT", problem)
  end
  return bytes
end

local function read_cookie(checked, format, secrets)
  local bytes, err = signing.open(WHERE, format, secrets, checked.cookie, checked.max_age,
    checked.clock())
  if not bytes then
    return nil, err
  end
  return decode(tagged_json, bytes)
end

--- The header that brings a cookie to the browser; `write` makes its value.
local function header(state, checked, write)
  if not state.modified then
    return nil
  elseif next(state.values) == nil then
    return set_cookie.write(WHERE, checked, "")
  end
  local value, err = write(state)
  if not value then
    return nil, err
  end
  return set_cookie.write(WHERE, checked, value, state.values._permanent == true
    and checked.clock() + checked.max_age or nil)
end

local function open_cookie(checked, secrets)
  local format, values, err = format_of(checked.salt), {}, nil
  if checked.cookie then
    values, err = read_cookie(checked, format, secrets)
  end
  local function write(state)
    local bytes, problem = encode(tagged_json, state.values)
    if not bytes then
      return nil, problem
    end
    return signing.write(format, secrets, bytes, checked.clock())
  end
  return values and object.new {
    values = values,
    set_cookie = function(state) return header(state, checked, write) end,
  }, err
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

--- A UUID of version 4 (RFC 4122 §4.4), as Flask-Session makes ids.
local function new_id()
  local bytes, err = crypto.random(16)
  if not bytes then
    return nil, err
  end
  local a, b = bytes:byte(7), bytes:byte(9)
  local hex = to_hex(bytes:sub(1, 6) .. string.char(a % 16 + 64) .. bytes:sub(8, 8)
    .. string.char(b % 64 + 128) .. bytes:sub(10))
  return (hex:gsub("^(" .. ("%x"):rep(8) .. ")(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

local ID_FORMAT = format_of "flask-session"

--- The id that a cookie holds.
local function id_of(checked, secrets)
  local id = checked.cookie
  if checked.use_signer then
    local text, signature = id:match "^([^.]*)%.([^.]*)$"
    if not text then
      return signing.fail(WHERE, "DAMAGED", "the cookie is no signed id")
    end
    local ok, err = signing.check(WHERE, ID_FORMAT, secrets, text, signature)
    if not ok then
      return nil, err
    end
    id = text
  end
  if #id > 128 or not id:find "^[%w_-]+$" then
    return signing.fail(WHERE, "DAMAGED", "the cookie is no id of a session")
  end
  return id
end

--- Flask-Session's files begin with their end, in Unix seconds: four bytes, little-endian; zero:
--- there is none (cachelib.FileSystemCache).
local function in_file(checked, self)
  local function read(bytes)
    if #bytes < 4 then
      return signing.fail(WHERE, "TRUNCATED", "the file is truncated")
    end
    local a, b, c, d = bytes:byte(1, 4)
    local ends = a + b * 2 ^ 8 + c * 2 ^ 16 + d * 2 ^ 24
    if ends == 0 or ends >= checked.clock() then
      return self.in_store.decode(bytes:sub(5))
    end
    return nil
  end
  local function write(values, ttl)
    local bytes, err = self.in_store.encode(values)
    if not bytes then
      return nil, err
    end
    local ends, head = math.floor(checked.clock() + ttl), ""
    for _ = 1, 4 do
      head, ends = head .. string.char(ends % 256), math.floor(ends / 256)
    end
    return head .. bytes
  end
  return read, write
end

local function name_of_file(key)
  return to_hex(assert(crypto.digest("md5", key)))
end

--- Flask-Session: the session is in a store, its id in the cookie.
local function open_kept(checked, secrets)
  local serializer, prefix = serializers[checked.serializer], checked.key_prefix
  local id, err
  if checked.cookie then
    id, err = id_of(checked, secrets)
    if not id then
      return nil, err
    end
  end
  local self = { where = WHERE, place = checked.store, key = id and prefix .. id,
    ttl = function() return checked.max_age end }
  function self.new_key()
    local made, problem = new_id()
    return made and prefix .. made, problem
  end
  function self.decode(bytes) return decode(serializer, bytes) end
  function self.encode(values) return encode(serializer, values) end
  if checked.directory then
    self.in_store = { decode = self.decode, encode = self.encode }
    self.place = files(checked.directory, name_of_file, checked.allow_foreign)
    self.decode, self.encode = in_file(checked, self)
  end
  local function write()
    local own = self.key:sub(#prefix + 1)
    if checked.use_signer then
      return signing.sign(ID_FORMAT, secrets, own)
    end
    return own
  end
  local state
  state, err = kept.open(self, {
    set_cookie = function(own) return header(own, checked, write) end,
  })
  if not state then
    return nil, err
  elseif not self.exists and checked.permanent then
    state.values._permanent, state.changed = true, { _permanent = true }
  end
  return object.new(state)
end

local SERIALIZERS = { pickle = true, msgpack = true, json = true }

local function problem_of(checked)
  if checked.store and checked.directory then
    return "give store or directory, not both"
  elseif not SERIALIZERS[checked.serializer] then
    return "serializer must be pickle, msgpack or json"
  end
  return set_cookie.problem(checked)
end

---@class tokencache.FlaskSessionOptions
---@field secret_key string|string[]  the application's; of several the first signs
---@field cookie? string       the cookie's value; nil or "": a new session
---@field cookie_name? string  default "session"
---@field salt? string         default "cookie-session"
---@field max_age? number      PERMANENT_SESSION_LIFETIME in seconds; default 31 days
---@field path? string         of the cookie, as are domain, secure, http_only and same_site
---@field store? tokencache.Store  of Flask-Session: store.redis or store.memcached
---@field directory? string    of Flask-Session's files, SESSION_FILE_DIR
---@field allow_foreign? boolean   the files may be another user's
---@field key_prefix? string   SESSION_KEY_PREFIX; default "session:"
---@field serializer? string   "pickle" (default), "msgpack" or "json"
---@field use_signer? boolean  SESSION_USE_SIGNER
---@field permanent? boolean   SESSION_PERMANENT, of new sessions; default true

---@param opts tokencache.FlaskSessionOptions
---@return tokencache.Session?
---@return tokencache.Error?
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local problem = problem_of(checked)
  if problem then
    error(WHERE .. ": " .. problem, 2)
  end
  local secrets = signing.secrets(WHERE, checked.secret_key, 2)
  checked.cookie = checked.cookie ~= "" and checked.cookie or nil
  if checked.store or checked.directory then
    return open_kept(checked, secrets)
  end
  return open_cookie(checked, secrets)
end
