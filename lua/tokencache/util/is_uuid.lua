local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

--- Reports whether a value is the text of a UUID (RFC 9562 §4).
---@param value any
---@return boolean
return function(value)
  return type(value) == "string" and value:find(UUID) ~= nil
end
