--- Raises where what a store is given to keep is no string, and blames the caller of its `set`.
---@param where string  the store's name, for messages
---@param bytes any
return function(where, bytes)
  if type(bytes) ~= "string" then
    error(where .. ": set: bytes must be a string, not " .. (bytes == nil and "nil"
      or "a " .. type(bytes)), 3)
  end
end
