--- An object that calls the function when it is collected; on Lua 5.1 tables have no finalizers.

local newproxy = rawget(_G, "newproxy")

---@param fn fun()
---@return table|userdata
return function(fn)
  if newproxy then
    local object = newproxy(true)
    getmetatable(object).__gc = fn
    return object
  end
  return setmetatable({}, { __gc = fn })
end
