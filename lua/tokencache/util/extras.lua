--- Metatables for objects that can do, beside what all of their kind can, only what the object they
--- stand on can. There is one for each set of abilities, so that an object is no more than its
--- fields, however many there are.

local options = require "tokencache.util.options"

---@class tokencache.Extra
---@field needs string  a method or field of the object stood on
---@field name? string  the method or field that it makes possible; default: of the same name
---@field fn any

local function with_extras(metatable, extras, other)
  local made = options.merge(metatable, { __index = options.merge(metatable.__index, {}) })
  for _, extra in ipairs(extras) do
    if other[extra.needs] ~= nil then
      made.__index[extra.name or extra.needs] = extra.fn
    end
  end
  return made
end

local function passed_on(field, name)
  return { needs = name, fn = function(self, ...)
    local other = self[field]
    return other[name](other, ...)
  end }
end

---@param metatable table   what all have; its __index is a table
---@param extras tokencache.Extra[]
---@param field? string     where an object has what it stands on
---@param names? string[]   methods that are called there with the same arguments
---@return fun(other: table|userdata): table  finds the metatable for what stands on `other`
return function(metatable, extras, field, names)
  for _, name in ipairs(names or {}) do
    extras[#extras + 1] = passed_on(field, name)
  end
  local by_set, needs, count = {}, {}, 0
  for _, extra in ipairs(extras) do
    if needs[count] ~= extra.needs then
      count = count + 1
      needs[count] = extra.needs
    end
  end
  return function(other)
    local set = 0
    for i = 1, count do
      set = set + set
      if other[needs[i]] ~= nil then
        set = set + 1
      end
    end
    local made = by_set[set]
    if not made then
      made = with_extras(metatable, extras, other)
      by_set[set] = made
    end
    return made
  end
end
