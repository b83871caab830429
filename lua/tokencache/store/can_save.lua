--- The method `can_save` of stores whose `replace` compares and sets.

local padded = require "tokencache.store.padded"

--- Shows that the store can take a new entry in place of `bytes`: writes them over themselves, with
--- blanks at the end, as `replace` does.
---@param bytes? string  nil: nothing was there, of which nothing can be shown
return function(self, key, bytes, ttl, handle)
  if bytes == nil then
    return nil
  end
  local longer = padded(bytes)
  local saved, err = self:replace(key, bytes, longer, ttl, handle)
  return saved and longer, err
end
