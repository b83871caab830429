--- Raises where what a store is given to keep is no string, and blames the caller of its method.
---@param where string    the store's name, for messages
---@param bytes any
---@param method? string  default "set"
return function(where, bytes, method)
  if type(bytes) ~= "string" then
    error(where .. ": " .. (method or "set") .. ": bytes must be a string, not "
      .. (bytes == nil and "nil" or "a " .. type(bytes)), 3)
  end
end
