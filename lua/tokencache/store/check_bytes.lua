local in_words = require "tokencache.util.in_words"

--- Raises where what a store is given to keep is no string, and blames the caller of its method.
---@param where string    the store's name, for messages
---@param bytes any
---@param method? string  default "set"
---@param old? any        what `replace` is to find there: then there may be nothing in its place
return function(where, bytes, method, old)
  if type(bytes) ~= "string" and (bytes ~= nil or old == nil) then
    error(where .. ": " .. (method or "set") .. ": bytes must be a string, not " .. in_words(bytes),
      3)
  end
end
