--- Signed texts as itsdangerous (Flask) and django.core.signing write them:
---
---     payload SEPARATOR timestamp SEPARATOR signature
---
--- The payload is base64url, after a dot where zlib has made it shorter. Whatever is wrong with one
--- is an error of kind "cache", whose `code` tells which it is; nothing is read of a text whose
--- signature does not fit.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local library = require "tokencache.util.library"
local lru = require "tokencache.util.lru"

local signing = {}

local MOST = 1048576 -- bytes, of a text and of what comes of it
local TOLERANCE = 60 -- seconds that the application's clock may be ahead

---@class tokencache.SigningFormat
---@field keys table        those derived from secrets
---@field separator string  one character
---@field pattern string    with captures: all that is signed, payload, timestamp, signature
---@field digest string     that of the HMAC
---@field key fun(secret: string): string?, tokencache.Error?
---@field read_time fun(text: string): integer?
---@field write_time fun(seconds: integer): string

---@param where string  the constructor's name
---@param code string
---@param problem string
---@return nil
---@return tokencache.Error
function signing.fail(where, code, problem)
  return nil, errors.new("cache", where .. ": " .. problem, { code = code })
end
local fail = signing.fail

local MOST_KEYS = 16

local function key_of(format, secret)
  local key, err = format.keys:get(secret), nil
  if not key then
    key, err = format.key(secret)
    if key then
      format.keys:set(secret, key)
    end
  end
  return key, err
end

--- base64url(HMAC(key, text)), by the format and the secret.
local function signature(format, secret, text)
  local key, err = key_of(format, secret)
  local digest
  if key then
    digest, err = crypto.hmac(format.digest, key, text)
  end
  if not digest then
    return nil, err
  end
  return core.base64url_encode(digest)
end

--- Reports whether one of the secrets has signed the text.
---@return true?
---@return tokencache.Error?
function signing.check(where, format, secrets, text, given)
  for _, secret in ipairs(secrets) do
    local own, err = signature(format, secret, text)
    if not own then
      return nil, err
    elseif crypto.equal(own, given) then
      return true
    end
  end
  return fail(where, "BAD_SIGNATURE", "the signature does not fit: another secret_key or salt, or "
    .. "a forged cookie")
end

--- Formats by their salt, of which a program has a few.
---@param make fun(salt: string): tokencache.SigningFormat
---@return fun(salt: string): tokencache.SigningFormat
function signing.formats(make)
  local formats = lru(MOST_KEYS)
  return function(salt)
    local format = formats:get(salt)
    if not format then
      format = make(salt)
      format.keys = lru(MOST_KEYS)
      formats:set(salt, format)
    end
    return format
  end
end

--- The text with its signature behind it, by the first secret.
---@return string?
---@return tokencache.Error?
function signing.sign(format, secrets, text)
  local own, err = signature(format, secrets[1], text)
  return own and text .. format.separator .. own, err
end

local function zlib()
  return library("tokencache._zlib", "zlib")
end

local ZLIB_PROBLEMS = {
  truncated = { "TRUNCATED", "the compressed data is truncated: it ends before its end" },
  damaged = { "DAMAGED", "the compressed data is damaged" },
  ["too long"] = { "TOO_LARGE", "more than " .. MOST .. " bytes come of the compressed data" },
}

local function decompress(where, bytes)
  local functions, err = zlib()
  if not functions then
    return nil, err
  end
  local text, problem = functions.decompress(bytes, MOST)
  local known = ZLIB_PROBLEMS[problem]
  if known then
    return fail(where, known[1], known[2])
  end
  return text, problem
end

--- The age decides only where there is a `max_age`.
local function check_time(where, format, time, max_age, now)
  local signed = format.read_time(time)
  if not signed then
    return fail(where, "DAMAGED", "the timestamp cannot be read")
  elseif signed > now + TOLERANCE then
    return fail(where, "FUTURE", ("the timestamp is %.0f seconds in the future; compare the clocks")
      :format(signed - now))
  elseif max_age and now - signed > max_age then
    return fail(where, "EXPIRED", ("the session is %.0f seconds old, and max_age is %.0f")
      :format(now - signed, max_age))
  end
  return true
end

--- What was signed.
---@param where string
---@param format tokencache.SigningFormat
---@param secrets string[]  the first one is today's
---@param text string
---@param max_age? number   seconds
---@param now number
---@return string?
---@return tokencache.Error?
function signing.open(where, format, secrets, text, max_age, now)
  if #text > MOST then
    return fail(where, "TOO_LARGE", "it has more than " .. MOST .. " bytes")
  end
  local signed, payload, time, given = text:match(format.pattern)
  if not signed then
    return fail(where, "DAMAGED", "it is not a signed payload with a timestamp")
  end
  local ok, err = signing.check(where, format, secrets, signed, given)
  if ok then
    ok, err = check_time(where, format, time, max_age, now)
  end
  if not ok then
    return nil, err
  end
  local packed = payload:sub(1, 1) == "."
  local bytes = core.base64url_decode(packed and payload:sub(2) or payload)
  if not bytes then
    return fail(where, "DAMAGED", "the payload is not base64url")
  elseif not packed then
    return bytes
  end
  return decompress(where, bytes)
end

---@param format tokencache.SigningFormat
---@param secrets string[]
---@param bytes string
---@param now number
---@return string?
---@return tokencache.Error?
function signing.write(format, secrets, bytes, now)
  local functions, err = zlib()
  local packed
  if functions then
    packed, err = functions.compress(bytes)
  end
  if not packed then
    return nil, err
  end
  local payload = #packed < #bytes - 1 and "." .. core.base64url_encode(packed)
    or core.base64url_encode(bytes)
  return signing.sign(format, secrets, payload .. format.separator
    .. format.write_time(math.floor(now)))
end

--- Checks the option secret_key: one, or a list whose first one signs.
---@param where string
---@param value string|string[]
---@param level integer  the stack level to blame, seen from the caller
---@return string[]
function signing.secrets(where, value, level)
  local list = type(value) == "table" and value or { value }
  local copy = {}
  for i, secret in ipairs(list) do
    copy[i] = type(secret) == "string" and secret ~= "" and secret or nil
  end
  if #copy == 0 or #copy ~= #list then
    error(where .. ": secret_key must be a string that is not empty, or a list of such", level + 1)
  end
  return copy
end

return signing
