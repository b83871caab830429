--- Keys made of parts, which may be text of a user's: no two lists make the same key, and no part
--- reaches beyond its place. What comes after the first ":" may be a session's id, which lets in
--- whoever reads it, so no message shows it.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local hex = require "tokencache.util.hex"
local reserved_key = require "tokencache.store.reserved_key"

local key = {}

--- What tells of nearly every key at once that it is not reserved.
local DASH, DASH_AT = ("-"):byte(), #"tokencache-"

--- No id that nobody can guess is as short.
key.LONGEST_SHOWN = 20 -- bytes

--- Of what is longer: bytes, or a digest's hexadecimal digits. They tell apart and lead nowhere.
key.TRACE = 8

local function escaped(byte)
  return ("%%%02x"):format(byte:byte())
end

--- Writes bytes as %hh.
---@param text string
---@param unsafe string  a pattern for the bytes to be escaped; "%" must be one of them
---@return string
function key.escape(text, unsafe)
  return (text:gsub(unsafe, escaped))
end

--- RFC 3986's unreserved characters stay. What is left out could part keys (":"), mean something to
--- a server (blanks, line ends, Redis Cluster's "{}"), or lead elsewhere ("/").
local UNSAFE = "[^A-Za-z0-9._~-]"

--- Joins the parts by ":", all but letters, digits and "._~-" escaped.
---@param parts string[]
---@return string? key
---@return string? problem
function key.join(parts)
  local safe, count = {}, 0
  for i, part in ipairs(parts) do
    safe[i] = type(part) == "string" and key.escape(part, UNSAFE) or nil
  end
  for _ in pairs(parts) do
    count = count + 1
  end
  if #safe ~= count then -- a nil or number within would drop parts
    return nil, "a list as key must hold strings and nothing else; tostring() makes one of a "
      .. "number"
  end
  return table.concat(safe, ":")
end

--- SHA-256.
---@param text string
---@return string? digest  64 hexadecimal digits
---@return tokencache.Error?
function key.sha256(text)
  local bytes, err = crypto.sha256(text)
  if not bytes then
    return nil, err
  end
  return hex(bytes)
end

--- What stands in a key for something that lets in whoever knows it, such as the id of a session:
--- it leads nobody back to that. Raises where there is no libcrypto.
---@param secret string
---@return string  64 hexadecimal digits
function key.digest(secret)
  if type(secret) ~= "string" or secret == "" then
    error("key.digest: a string expected that is not empty", 2)
  end
  local digest, err = key.sha256(secret)
  return digest or error("key.digest: " .. err, 2)
end

--- A key as messages show it: up to its first ":", and a mark that tells it from others.
---@param text string
---@return string  printable
function key.shown(text)
  local name, rest = text:match("^([^:]*:?)(.*)$")
  if #name <= key.LONGEST_SHOWN and rest == "" then
    return core.printable(name)
  elseif #name > key.LONGEST_SHOWN then
    name = name:sub(1, key.TRACE)
  end
  local digest = key.sha256(text)
  return core.printable(name) .. "#" .. (digest and digest:sub(1, key.TRACE) or "")
end

--- A key as a program gives it, as one string; or what is wrong with it.
---@param given any
---@return string?
---@return string? problem
function key.read(given)
  local problem = "key must be a string that is not empty, or a list of strings"
  if type(given) == "table" then
    local joined, why = key.join(given)
    given, problem = joined, why or problem
  end
  if type(given) ~= "string" or given == "" then
    return nil, problem
  elseif given:byte(DASH_AT) == DASH and reserved_key.is_reserved(given) then
    return nil, "key " .. reserved_key.problem(given)
  end
  return given
end

--- The same, raising.
---@param where string    the function's name, for messages
---@param given string|string[]
---@param level? integer  the stack level to blame, as for `error`, seen from the caller; default 2
---@return string
function key.check(where, given, level)
  local name, problem = key.read(given)
  if not name then
    error(where .. ": " .. problem, (level or 2) + 1)
  end
  return name
end

return key
