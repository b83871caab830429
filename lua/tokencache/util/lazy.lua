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
---@param modules table<string, string|false>  member name -> module name; false: it may be unset
---@param refusal? string  why none of them can be loaded here
---@return table
return function(where, modules, refusal)
  return setmetatable({}, {
    __index = function(self, name)
      local module = modules[name]
      if module == false then
        return nil
      elseif not module then
        error(where .. " has no " .. tostring(name) .. "; there is " .. sorted(modules), 2)
      end
      if refusal then
        error(where .. "." .. name .. " " .. refusal, 2)
      end
      local value = require(module)
      rawset(self, name, value)
      return value
    end,
  })
end
