--- What a function of the user's raised, as text that may be shown.

local protected = require "tokencache.util.protected"

---@param err any
---@return string
return function(err)
  local has_text, text = protected(tostring, err)
  return has_text and type(text) == "string" and require("tokencache._core").printable(text)
    or "it raised a " .. type(err)
end
