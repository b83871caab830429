--- Opens the session of a Flask application.
---
--- How this room is built. A session is three things, and each is a file or two:
---
---     object.lua        what the program holds: session.token_info, modified, set_cookie, save
---     signing.lua       payload, timestamp, signature, by the secret keys    (a text <-> bytes)
---     serializers.lua   JSON, tagged JSON, pickle, MessagePack               (bytes <-> a table)
---     kept.lua          sessions on the server: read, compare and set, in any store; there are
---                       files.lua and database.lua beside the stores of tokencache.store
---
--- flask.lua and django.lua say which of them an engine takes, and what it calls its entries; what
--- they have in common is in application.lua.

local application = require "tokencache.session.application"
local binary = require "tokencache.session.binary"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local files = require "tokencache.session.files"
local hex = require "tokencache.util.hex"
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

---@type tokencache.Framework
local FLASK = { where = WHERE, separator = ".", digest = "sha1", -- itsdangerous, as Flask has it
  digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" }

function FLASK.key(secret, salt)
  local key, err = crypto.hmac("sha1", secret)
  if not key then
    return nil, err
  end
  return key:digest(salt)
end

--- Big-endian bytes, as few as it takes.
function FLASK.write_time(seconds)
  return core.base64url_encode((binary.big_endian(seconds, 6):gsub("^%z+", "")))
end

function FLASK.life(checked, values)
  return values._permanent == true and checked.clock() + checked.max_age or nil
end

--- A UUID of version 4 (RFC 4122 §4.4), as Flask-Session makes ids.
local function new_id()
  local bytes, err = crypto.random(16)
  if not bytes then
    return nil, err
  end
  local a, b = bytes:byte(7), bytes:byte(9)
  local digits = hex(bytes:sub(1, 6) .. string.char(a % 16 + 64) .. bytes:sub(8, 8)
    .. string.char(b % 64 + 128) .. bytes:sub(10))
  return (digits:gsub("^(" .. ("%x"):rep(8) .. ")(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

local ID_SALT = "flask-session"

--- The id that a cookie holds.
local function id_of(checked)
  local id = checked.cookie
  if checked.use_signer then
    local length, err = signing.check(FLASK, ID_SALT, checked.secrets, id)
    if not length then
      return nil, err
    end
    id = id:sub(1, length)
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
    local ends = binary.natural(bytes:sub(1, 4):reverse())
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
    return binary.big_endian(math.floor(checked.clock() + ttl), 4):reverse() .. bytes
  end
  return read, write
end

local function name_of_file(key)
  return hex(assert(crypto.digest("md5", key)))
end

--- Flask-Session: the session is in a store, its id in the cookie.
local function open_kept(checked)
  local serializer, prefix = serializers[checked.serializer], checked.key_prefix
  local id, err
  if checked.cookie then
    id, err = id_of(checked)
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
  function self.decode(bytes) return application.decode(FLASK, serializer, bytes) end
  function self.encode(values) return application.encode(FLASK, serializer, values) end
  if checked.directory then
    self.in_store = { decode = self.decode, encode = self.encode }
    self.place = files(checked.directory, name_of_file, checked.allow_foreign)
    self.decode, self.encode = in_file(checked, self)
  end
  local function write()
    local own = self.key:sub(#prefix + 1)
    if checked.use_signer then
      return signing.sign(FLASK, ID_SALT, checked.secrets, own)
    end
    return own
  end
  local state
  state, err = kept.open(self, {
    set_cookie = function(own) return application.set_cookie(FLASK, checked, own, write) end,
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
end

local function open(checked)
  if checked.store or checked.directory then
    return open_kept(checked)
  end
  return application.in_cookie(FLASK, checked, checked.salt, tagged_json)
end

---@class tokencache.FlaskSessionOptions: tokencache.SessionCookieOptions
---@field secret_key string|string[]  the application's; of several the first signs
---@field cookie_name? string  default "session"
---@field salt? string         default "cookie-session"
---@field max_age? number      PERMANENT_SESSION_LIFETIME in seconds; default 31 days
---@field store? tokencache.Store  of Flask-Session: store.redis or store.memcached
---@field directory? string    of Flask-Session's files, SESSION_FILE_DIR
---@field allow_foreign? boolean   the files may be another user's
---@field key_prefix? string   SESSION_KEY_PREFIX; default "session:"
---@field serializer? string   "pickle" (default), "msgpack" or "json"
---@field use_signer? boolean  SESSION_USE_SIGNER
---@field permanent? boolean   SESSION_PERMANENT, of new sessions; default true

---@type fun(opts: tokencache.FlaskSessionOptions): tokencache.Session?, tokencache.Error?
return application.constructor(WHERE, RULES, problem_of, open)
