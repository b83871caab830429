--- The mark beside a token in a store, as handlers have it.

local core = require "tokencache._core"
local keys = require "tokencache.key"
local read_store = require "tokencache.store.read"
local reserved_key = require "tokencache.store.reserved_key"
local store_errors = require "tokencache.cache.store_errors"

local mark = {}

local function key_of(self)
  local store = self.store
  return store.mark_key and store:mark_key(self.key) or reserved_key.of_mark(self.key)
end

local MARK = "^(%d+) (.*)$" -- its end in Unix seconds, as not every store has a time to live

function mark.get(self)
  local bytes, err = read_store(self.store, key_of(self), true)
  if bytes == nil then
    return nil, err ~= nil and store_errors.of_store(self, "get", err) or nil
  end
  local ends, text
  if type(bytes) == "string" then
    ends, text = bytes:match(MARK)
  end
  if not ends then
    return nil, store_errors.failure(self, "the mark beside the token is damaged; remove "
      .. keys.shown(key_of(self)))
  end
  return tonumber(ends) > (self.clock or core.now)() and text or nil
end

function mark.set(self, text, ttl)
  local store, key = self.store, key_of(self)
  if text == nil and store.delete then
    return store_errors.outcome(self, "delete", store:delete(key))
  end
  local seconds = text and math.ceil(ttl) or 1
  local ends = text and math.ceil((self.clock or core.now)() + ttl) or 0
  return store_errors.outcome(self, "set",
    store:set(key, ("%.0f %s"):format(ends, text or ""), seconds))
end

return mark
