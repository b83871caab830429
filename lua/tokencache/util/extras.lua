--- Metatables for objects that can do, beside what all of their kind can, only what the object they
--- stand on can. There is one for each set of abilities, so that an object is no more than its
--- fields, however many there are.

---@class tokencache.Extra
---@field needs string  a method or field of the object stood on
---@field name string   the method or field that it makes possible
---@field fn any

local function copy_of(fields)
  local copy = {}
  for name, value in pairs(fields) do
    copy[name] = value
  end
  return copy
end

local function with_extras(metatable, extras, other)
  local made = copy_of(metatable)
  made.__index = copy_of(metatable.__index)
  for _, extra in ipairs(extras) do
    if other[extra.needs] ~= nil then
      made.__index[extra.name] = extra.fn
    end
  end
  return made
end

---@param metatable table   what all have; its __index is a table
---@param extras tokencache.Extra[]
---@return fun(other: table|userdata): table  finds the metatable for what stands on `other`
return function(metatable, extras)
  local by_set, needs, is_known = {}, {}, {}
  for _, extra in ipairs(extras) do
    if not is_known[extra.needs] then
      is_known[extra.needs] = true
      needs[#needs + 1] = extra.needs
    end
  end
  local count = #needs
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
