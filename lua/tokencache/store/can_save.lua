--- The method `can_save` of stores whose `replace` compares and sets.

local padded = require "tokencache.store.padded"

--- Shows that the store can take a new entry in place of `bytes`: writes them over themselves, with
--- blanks at the end, as `replace` does.
---@param self tokencache.Store
---@param key string
---@param bytes? string  what was read there; nil: nothing, of which nothing can be shown
---@param ttl? any       as of `replace`: seconds that they have from now on; nil: for good
---@param handle? any    from try_lock, of the lock under which it is done
---@return string|false|nil bytes  those that are there now; false: something else is there, or
---   another holds the lock
---@return tokencache.Error?
return function(self, key, bytes, ttl, handle)
  if bytes == nil then
    return nil
  end
  local longer = padded(bytes)
  local saved, err = self:replace(key, bytes, longer, ttl, handle)
  return saved and longer, err
end
