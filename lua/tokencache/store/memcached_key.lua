--- Where memcached keeps what. It takes keys of 1 to 250 bytes without blanks and control
--- characters; any other is known by its digest. Names of our own begin in a way that no key does.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"

local memcached_key = {}

local OWN = "tokencache:"

local function digest(prefix, text)
  local sha256, err = crypto.sha256(text)
  if not sha256 then
    return nil, err
  end
  return OWN .. prefix .. core.base64url_encode(sha256)
end

---@param key string
---@param longest? integer  bytes; default 250
---@return string?  the key itself, wherever possible: other programs find it there
---@return tokencache.Error?
function memcached_key.place(key, longest)
  if key ~= "" and #key <= (longest or 250) and not key:find("[%z\1-\32\127]")
    and key:sub(1, #OWN) ~= OWN then
    return key
  end
  return digest("sha256:", key)
end

--- The entry that stands for a lock.
---@param name string
---@return string?
---@return tokencache.Error?
function memcached_key.lock(name)
  return digest("lock:", name)
end

return memcached_key
