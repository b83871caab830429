--- What a function of the user's raised, as text that may be shown.

local protected = require "tokencache.util.protected"

--- Where an object is says nothing, and differs each time.
local ADDRESS = ": 0x%x+$"

---@param err any
---@param otherwise? string  for what has no text
---@return string
return function(err, otherwise)
  local has_text, text = protected(tostring, err)
  if has_text and type(text) == "string" and (type(err) == "string" or not text:find(ADDRESS)) then
    return require("tokencache._core").printable(text)
  end
  return otherwise or "it raised a " .. type(err)
end
