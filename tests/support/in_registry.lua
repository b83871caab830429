--- Whether C code holds on to a string, which is then in Lua's registry.

---@param text string
---@return boolean
return function(text)
  for _, value in pairs(debug.getregistry()) do
    if value == text then
      return true
    end
  end
  return false
end
