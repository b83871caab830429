--- Tables whose members are modules, each loaded when it is first asked for.

local function sorted(modules)
  local names = {}
  for name in pairs(modules) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

---@param where string    for the message about an unknown name: "tokencache.cache"
---@param modules table<string, string>  member name -> module name
---@return table
return function(where, modules)
  return setmetatable({}, {
    __index = function(self, name)
      local module = modules[name]
      if not module then
        error(where .. " has no " .. tostring(name) .. "; there is " .. sorted(modules), 2)
      end
      local value = require(module)
      rawset(self, name, value)
      return value
    end,
  })
end
