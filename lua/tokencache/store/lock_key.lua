--- Keys of a store's own entries, such as locks. No other key may begin as they do.

local errors = require "tokencache.error"

local lock_key = {}

local PREFIX = "tokencache-lock:"

---@param name string
---@return string
function lock_key.of(name)
  return PREFIX .. name
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
