--- Loads the modules that need a library of their own. Where it is missing, that is an error like
--- any other: not every call needs it.

local errors = require "tokencache.error"

---@param module string      "tokencache._http"
---@param name string        the library's
---@param otherwise? string  what to do where it cannot be installed
---@return table?
---@return tokencache.Error?
return function(module, name, otherwise)
  local there = package.loaded[module]
  if there then
    return there
  end
  local loaded, result = pcall(require, module)
  if loaded then
    return result
  end
  return nil, errors.new("config", name .. " cannot be loaded; install it"
    .. (otherwise and ", or " .. otherwise or "") .. ": " .. tostring(result):match("^[^\n]*"))
end
