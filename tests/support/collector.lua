--- Sets the collector of garbage: its "pause" or its "stepmul".
---@param name "pause"|"stepmul"
---@param percent integer
return function(name, percent)
  if not pcall(collectgarbage, "param", name, percent) then -- before Lua 5.5
    collectgarbage("set" .. name, percent)
  end
end
