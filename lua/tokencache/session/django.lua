--- Opens the session of a Django application. Of each engine it knows the place of sessions, the
--- key of one there, and how its values are written.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local files = require "tokencache.session.files"
local kept = require "tokencache.session.kept"
local object = require "tokencache.session.object"
local options = require "tokencache.util.options"
local serializers = require "tokencache.session.serializers"
local set_cookie = require "tokencache.session.set_cookie"
local signing = require "tokencache.session.signing"

local WHERE = "session.django"

local COOKIE_SALT = "django.contrib.sessions.backends.signed_cookies"
local STORE_SALT = "django.contrib.sessions.SessionStore"

local RULES = options.merge(set_cookie.RULES, {
  secret_key = { { "string", "table" }, required = true },
  engine = { "string", default = "db" },
  serializer = { "string", default = "json" },
  cookie_name = { "string", default = "sessionid" },
  same_site = { "string", default = "Lax" },
  max_age = { "number>0", default = 14 * 86400 },
  database = { "object" },
  cache = { "object" },
  cache_serializer = { "string", default = "pickle" },
  key_prefix = { "string", default = "" },
  version = { "number>=0", default = 1 },
  directory = { "string" },
  allow_foreign = { "boolean" },
  clock = { "callable", default = core.now },
})

--- What each engine needs.
local ENGINES = { signed_cookies = {}, db = { "database" }, cached_db = { "database", "cache" },
  cache = { "cache" }, file = { "directory" } }

local BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

local VALUES = {} -- by byte

for value = 1, #BASE62 do
  VALUES[BASE62:byte(value)] = value - 1
end

local function read_time(text)
  local seconds = 0
  for i = 1, #text do
    local value = VALUES[text:byte(i)]
    if not value or i > 8 then
      return nil
    end
    seconds = seconds * 62 + value
  end
  return seconds
end

local function write_time(seconds)
  local text = ""
  repeat
    local digit = seconds % 62
    text, seconds = BASE62:sub(digit + 1, digit + 1) .. text, math.floor(seconds / 62)
  until seconds == 0
  return text
end

--- django.core.signing.TimestampSigner.
local format_of = signing.formats(function(salt)
  return { separator = ":", pattern = "^((%.?[%w_-]*):([%w_-]+)):([%w_-]+)$",
    digest = "sha256", read_time = read_time, write_time = write_time,
    key = function(secret) return crypto.digest("sha256", salt .. "signer" .. secret) end }
end)

--- The functions from bytes to values and back of a serializer, each with an error.
local function plain(serializer)
  return {
    decode = function(bytes)
      local values, problem = serializer.decode(bytes)
      if type(values) ~= "table" or values[1] ~= nil then
        return signing.fail(WHERE, "DAMAGED", "the session is no object"
          .. (problem and ": " .. problem or ""))
      end
      return values
    end,
    encode = function(values)
      local bytes, problem = serializer.encode(values)
      if not bytes then
        return signing.fail(WHERE, "UNFIT", problem)
      end
      return bytes
    end,
  }
end

--- The same of what is signed.
local function signed(checked, secrets, salt, max_age)
  local format, inner = format_of(salt), plain(serializers[checked.serializer])
  return {
    decode = function(text)
      local bytes, err = signing.open(WHERE, format, secrets, text, max_age, checked.clock())
      if not bytes then
        return nil, err
      end
      return inner.decode(bytes)
    end,
    encode = function(values)
      local bytes, err = inner.encode(values)
      if not bytes then
        return nil, err
      end
      return signing.write(format, secrets, bytes, checked.clock())
    end,
  }
end

--- Seconds that a session is kept (SessionBase.get_expiry_age).
local function age_of(checked, values)
  local expiry = values._session_expiry
  return type(expiry) == "number" and expiry > 0 and expiry or checked.max_age
end

local function header(checked, state, value)
  if not state.modified then
    return nil
  elseif next(state.values) == nil then
    return set_cookie.write(WHERE, checked, "")
  elseif state.values._session_expiry == 0 then
    return set_cookie.write(WHERE, checked, value)
  end
  local age = age_of(checked, state.values)
  return set_cookie.write(WHERE, checked, value, checked.clock() + age, age)
end

local ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

local function new_key()
  local bytes, err = crypto.random(64)
  if not bytes then
    return nil, err
  end
  local key = bytes:gsub(".", function(byte)
    local value = byte:byte()
    return value < 252 and ALPHABET:sub(value % 36 + 1, value % 36 + 1) or ""
  end)
  if #key < 32 then
    return new_key()
  end
  return key:sub(1, 32)
end

--- A database as a place of sessions.
local function rows(database, clock)
  return {
    identity = database,
    get = function(_, key)
      local data, expires = database:load(key)
      if data == nil then
        return nil, expires
      end
      return expires > clock() and data or nil
    end,
    replace = function(_, key, old, data, ttl)
      return database:save(key, data, ttl and clock() + ttl, old)
    end,
  }
end

--- The cache's key of a session's key (django.core.cache.backends.base.default_key_func).
local function cache_key(checked, engine, key)
  return ("%s:%.0f:django.contrib.sessions.%s%s"):format(checked.key_prefix, checked.version,
    engine, key)
end

--- What is written into the cache beside the database.
local function saved_in_cache(checked, codec, self)
  return function(values, ttl)
    local key = cache_key(checked, "cached_db", self.key)
    if next(values) == nil then
      return errors.done(checked.cache:delete(key))
    end
    local bytes, err = codec.encode(values)
    if not bytes then
      return nil, err
    end
    return checked.cache:set(key, bytes, ttl)
  end
end

local function open_kept(checked, secrets, key)
  local engine = checked.engine
  local codec = signed(checked, secrets, STORE_SALT)
  local in_cache = plain(serializers[checked.cache_serializer])
  local self = { where = WHERE, key = key, decode = codec.decode, encode = codec.encode,
    new_key = new_key, ttl = function(values) return age_of(checked, values) end }
  local prefix = ""
  if engine == "file" then
    self.place = files(checked.directory, function(sid) return checked.cookie_name .. sid end,
      checked.allow_foreign)
  elseif engine == "cache" then
    prefix = cache_key(checked, "cache", "")
    self.place, self.decode, self.encode = checked.cache, in_cache.decode, in_cache.encode
    self.key = key and prefix .. key
    self.new_key = function()
      local made, err = new_key()
      return made and prefix .. made, err
    end
  else
    self.place = rows(checked.database, checked.clock)
    self.saved = engine == "cached_db" and saved_in_cache(checked, in_cache, self) or nil
  end
  local state, err = kept.open(self, {
    set_cookie = function(state) return header(checked, state, self.key:sub(#prefix + 1)) end,
  })
  if not state then
    return nil, err
  end
  return object.new(state)
end

local function open_cookie(checked, secrets, text)
  local codec = signed(checked, secrets, COOKIE_SALT, checked.max_age)
  local values, err = {}, nil
  if text then
    values, err = codec.decode(text)
  end
  return values and object.new {
    values = values,
    set_cookie = function(state)
      local value, problem = codec.encode(state.values)
      if not value then
        return nil, problem
      end
      return header(checked, state, value)
    end,
  }, err
end

local SERIALIZERS = { json = true, pickle = true }

local function problem_of(checked)
  local needed = ENGINES[checked.engine]
  if not needed then
    return "engine must be signed_cookies, db, cached_db, cache or file"
  elseif not SERIALIZERS[checked.serializer] or not SERIALIZERS[checked.cache_serializer] then
    return "serializer and cache_serializer must be json or pickle"
  end
  for _, name in ipairs(needed) do
    if checked[name] == nil then
      return name .. " is required by the engine " .. checked.engine
    end
  end
  return set_cookie.problem(checked)
end

---@class tokencache.DjangoSessionOptions
---@field secret_key string|string[]  SECRET_KEY, then SECRET_KEY_FALLBACKS
---@field cookie? string          the cookie's value; nil or "": a new session
---@field engine? string          "db" (default), "cached_db", "cache", "file", "signed_cookies"
---@field serializer? string      "json" (default) or "pickle"
---@field database? tokencache.SessionDatabase
---@field cache? tokencache.Store store.redis or store.memcached
---@field cache_serializer? string   "pickle" (default), or "json" of django-redis
---@field key_prefix? string      KEY_PREFIX of the cache
---@field version? integer        VERSION of the cache
---@field directory? string       SESSION_FILE_PATH
---@field allow_foreign? boolean  the files may be another user's
---@field max_age? number         SESSION_COOKIE_AGE; default two weeks
---@field cookie_name? string     default "sessionid"
---@field path? string            of the cookie, as are domain, secure, http_only and same_site

---@param opts tokencache.DjangoSessionOptions
---@return tokencache.Session?
---@return tokencache.Error?
return function(opts)
  local checked = options.check(WHERE, opts, RULES)
  local problem = problem_of(checked)
  if problem then
    error(WHERE .. ": " .. problem, 2)
  end
  local secrets = signing.secrets(WHERE, checked.secret_key, 2)
  local cookie = checked.cookie ~= "" and checked.cookie or nil
  if checked.engine == "signed_cookies" then
    return open_cookie(checked, secrets, cookie)
  elseif cookie and (#cookie > 40 or not cookie:find "^[a-z0-9]+$") then
    return signing.fail(WHERE, "DAMAGED", "the cookie is no session key")
  end
  return open_kept(checked, secrets, cookie)
end
