--- Keys of a store's own entries, such as locks. No other key may begin as they do.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"

local lock_key = {}

local PREFIX = "tokencache-lock:"

---@param name string
---@return string
function lock_key.of(name)
  return PREFIX .. name
end

--- A handle of a lock that is about to be taken, with an owner like no other.
---@param name string  where the store keeps it
---@return { name: string, owner: string }?
---@return tokencache.Error?
function lock_key.handle(name)
  local random, err = crypto.random(16)
  if not random then
    return nil, err
  end
  return { name = name, owner = core.base64url_encode(random) }
end

--- Why an entry cannot have this key, if it cannot.
---@param place string  the store, for the message
---@param key string
---@param other? string  another beginning that the store keeps for itself, of the same length
---@return tokencache.Error?
function lock_key.refusal(place, key, other)
  local start = key:sub(1, #PREFIX)
  if start == PREFIX or start == other then
    return errors.new("cache", ("%s: a key must not start with %q, as %s do; choose another")
      :format(place, start, start == PREFIX and "locks" or "lists of keys"))
  end
end

return lock_key
