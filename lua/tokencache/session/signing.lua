--- Signed text as Django and itsdangerous (Flask) make it: a payload, the time, and an HMAC of
--- both. The payload is base64url, compressed where that makes it shorter; it begins with "." then.
---
--- What cannot be trusted is an error whose `code` tells which it is; nothing is read of a text
--- whose signature does not fit.

local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local library = require "tokencache.util.library"

local signing = {}

local MOST = 1048576 -- bytes, of a text and of what comes of it
local TOLERANCE = 60 -- seconds that the application's clock may be ahead
local MOST_KEYS = 16

---@class tokencache.SigningFormat
---@field where string      the constructor's name
---@field separator string  one character
---@field digest string     that of the HMAC
---@field key fun(secret: string, salt: string): string?, tokencache.Error?
---@field digits string     those of a time, from zero: of base64 (of big-endian bytes), or base 62
---@field write_time fun(seconds: integer): string
---@field private keys? table<string, table<string, any>>  made of secrets, by salt and secret
---@field private count? integer  of the keys

---@param where string  the constructor's name
---@param code string
---@param problem string
---@return nil
---@return tokencache.Error
function signing.fail(where, code, problem)
  return nil, errors.new("cache", where .. ": " .. problem, { code = code })
end
local fail = signing.fail

local function new_key(format, salt, secret)
  local bytes, err = format.key(secret, salt)
  local key
  if bytes then
    key, err = crypto.hmac(format.digest, bytes)
  end
  if not key then
    return nil, err
  end
  if not format.keys or format.count == MOST_KEYS then
    format.keys, format.count = {}, 0
  end
  format.keys[salt] = format.keys[salt] or {}
  format.keys[salt][secret], format.count = key, format.count + 1
  return key
end

--- The key of a secret and a salt. It is kept: a program has a few, and uses them for each text.
local function key_of(format, salt, secret)
  local keys = format.keys and format.keys[salt]
  local key = keys and keys[secret]
  if key then
    return key
  end
  return new_key(format, salt, secret)
end

--- Reports whether one of the secrets has signed the text, which ends with a signature.
---@param format tokencache.SigningFormat
---@param salt string
---@param secrets string[]
---@param text string
---@return integer? length  of what is signed
---@return any rest  of this the part before the last separator; nil: there is none; an error
---@return number? time  what is between the two, if that is a time
function signing.check(format, salt, secrets, text)
  for i = 1, #secrets do
    local key, err = key_of(format, salt, secrets[i])
    if not key then
      return nil, err
    end
    local length, rest, time = key:verify(text, format.separator, format.digits)
    if length ~= false then
      return length, rest, time
    end
  end
  return fail(format.where, "BAD_SIGNATURE", "the signature does not fit: another secret_key or "
    .. "salt, or a forged or damaged cookie")
end

--- The text with its signature behind it, by the first secret.
---@return string?
---@return tokencache.Error?
function signing.sign(format, salt, secrets, text)
  local key, err = key_of(format, salt, secrets[1])
  if not key then
    return nil, err
  end
  return key:sign(text, format.separator)
end

local function zlib()
  return library("tokencache._zlib", "zlib")
end

local PROBLEMS = {
  truncated = { "TRUNCATED", "the compressed data is truncated: it ends before its end" },
  damaged = { "DAMAGED", "the compressed data is damaged" },
  ["too long"] = { "TOO_LARGE", "more than " .. MOST .. " bytes come of the compressed data" },
  ["not base64url"] = { "DAMAGED", "the payload is not base64url" },
}

local function unpack(format, text, length)
  local functions, err = zlib()
  if not functions then
    return nil, err
  end
  local bytes, problem = functions.unpack(text, length, MOST)
  local known = not bytes and PROBLEMS[problem]
  if known then
    return fail(format.where, known[1], known[2])
  end
  return bytes, problem
end

--- The age decides only where there is a `max_age`.
local function check_time(where, signed, max_age, now)
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
---@param format tokencache.SigningFormat
---@param salt string
---@param secrets string[]  the first one is today's
---@param text string
---@param max_age? number   seconds
---@param now number
---@return string?
---@return tokencache.Error?
function signing.open(format, salt, secrets, text, max_age, now)
  if #text > MOST then
    return fail(format.where, "TOO_LARGE", "it has more than " .. MOST .. " bytes")
  end
  local length, rest, time = signing.check(format, salt, secrets, text)
  if not length then
    return nil, rest
  elseif not rest then
    return fail(format.where, "DAMAGED", "it is not a signed payload with a timestamp")
  end
  local ok, err = check_time(format.where, time, max_age, now)
  if not ok then
    return nil, err
  end
  return unpack(format, text, rest)
end

---@param format tokencache.SigningFormat
---@param salt string
---@param secrets string[]
---@param bytes string
---@param now number
---@return string?
---@return tokencache.Error?
function signing.write(format, salt, secrets, bytes, now)
  local functions, err = zlib()
  local payload
  if functions then
    payload, err = functions.pack(bytes)
  end
  if not payload then
    return nil, err
  end
  return signing.sign(format, salt, secrets, payload .. format.separator
    .. format.write_time(math.floor(now)))
end

--- Checks the option secret_key: one, or a list whose first one signs.
---@param where string
---@param value string|string[]
---@param level integer  the stack level to blame, seen from the caller
---@return string[]
function signing.secrets(where, value, level)
  if type(value) == "string" and value ~= "" then
    return { value }
  end
  local list, copy = type(value) == "table" and value or {}, {}
  for i = 1, #list do
    copy[i] = type(list[i]) == "string" and list[i] ~= "" and list[i] or nil
  end
  if #copy == 0 or #copy ~= #list then
    error(where .. ": secret_key must be a string that is not empty, or a list of such", level + 1)
  end
  return copy
end

return signing
