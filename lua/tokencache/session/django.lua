--- Opens the session of a Django application. Of each engine it knows the place of sessions, the
--- key of one there, and how its values are written.

local application = require "tokencache.session.application"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
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

local function write_time(seconds)
  local text = ""
  repeat
    local digit = seconds % 62
    text, seconds = BASE62:sub(digit + 1, digit + 1) .. text, math.floor(seconds / 62)
  until seconds == 0
  return text
end

---@type tokencache.Framework
local DJANGO = { where = WHERE, separator = ":", digest = "sha256", digits = BASE62,
  write_time = write_time }

function DJANGO.key(secret, salt)
  return crypto.digest("sha256", salt .. "signer" .. secret)
end

--- Seconds that a session is kept (SessionBase.get_expiry_age).
local function age_of(checked, values)
  local expiry = values._session_expiry
  return type(expiry) == "number" and expiry > 0 and expiry or checked.max_age
end

function DJANGO.life(checked, values)
  if values._session_expiry == 0 then
    return nil
  end
  local age = age_of(checked, values)
  return checked.clock() + age, age
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

local function open_kept(checked)
  local engine, key = checked.engine, checked.cookie
  local serializer = serializers[checked.serializer]
  local in_cache = serializers[checked.cache_serializer]
  local self = { where = WHERE, key = key, new_key = new_key,
    ttl = function(values) return age_of(checked, values) end }
  function self.decode(text)
    return application.read(DJANGO, checked, STORE_SALT, serializer, text)
  end
  function self.encode(values)
    return application.write(DJANGO, checked, STORE_SALT, serializer, values)
  end
  local function encode_in_cache(values) return application.encode(DJANGO, in_cache, values) end
  local prefix = ""
  if engine == "file" then
    self.place = files(checked.directory, function(sid) return checked.cookie_name .. sid end,
      checked.allow_foreign)
  elseif engine == "cache" then
    prefix = cache_key(checked, "cache", "")
    self.place = checked.cache
    function self.decode(bytes) return application.decode(DJANGO, in_cache, bytes) end
    self.encode = encode_in_cache
    self.key = key and prefix .. key
    self.new_key = function()
      local made, err = new_key()
      return made and prefix .. made, err
    end
  else
    self.place = rows(checked.database, checked.clock)
    self.copy = engine == "cached_db" and { place = checked.cache, encode = encode_in_cache,
      prefix = cache_key(checked, "cached_db", "") } or nil
  end
  local state, err = kept.open(self, {
    set_cookie = function(own)
      return application.set_cookie(DJANGO, checked, own, function()
        return self.key:sub(#prefix + 1)
      end)
    end,
  })
  if not state then
    return nil, err
  end
  return object.new(state)
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
end

local function open(checked)
  local key = checked.cookie
  if checked.engine == "signed_cookies" then
    return application.in_cookie(DJANGO, checked, COOKIE_SALT, serializers[checked.serializer])
  elseif key and (#key > 40 or not key:find "^[a-z0-9]+$") then
    return signing.fail(WHERE, "DAMAGED", "the cookie is no session key")
  end
  return open_kept(checked)
end

---@class tokencache.DjangoSessionOptions: tokencache.SessionCookieOptions
---@field secret_key string|string[]  SECRET_KEY, then SECRET_KEY_FALLBACKS
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

---@type fun(opts: tokencache.DjangoSessionOptions): tokencache.Session?, tokencache.Error?
return application.constructor(WHERE, RULES, problem_of, open)
