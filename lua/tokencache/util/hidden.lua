--- A secret as a function that returns it: a dump of the object that holds it does not show it.

---@generic T
---@param secret? T
---@return (fun(): T)?  nil for nil
return function(secret)
  return secret ~= nil and function()
    return secret
  end or nil
end
