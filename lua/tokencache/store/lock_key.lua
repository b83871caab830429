--- What a store keeps among its entries for itself: their keys begin as no other key may.

local errors = require "tokencache.error"

local lock_key = {}

local PREFIX = "tokencache-lock:"
local MARK = "tokencache-mark:" -- entries that say something of another one, its key following

---@param name string
---@return string
function lock_key.of(name)
  return PREFIX .. name
end

--- Reports whether a key is one of a token, and not of a lock or a mark: those are not listed.
---@param key string
---@return boolean
function lock_key.is_listed(key)
  local start = key:sub(1, #PREFIX)
  return start ~= PREFIX and start ~= MARK
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
