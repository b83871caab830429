--- Tells tables apart, and says where.

local compare = {}

local number_type = math.type or type -- luacheck: ignore 143

local function show(value)
  if type(value) == "string" then
    return #value <= 40 and ("%q"):format(value) or ("a string of " .. #value .. " bytes")
  end
  if type(value) == "number" then
    return "the " .. number_type(value) .. " " .. ("%.17g"):format(value)
  end
  if type(value) == "table" and getmetatable(value) == nil then
    return "a table"
  end
  return value == nil and "nothing" or tostring(value)
end

compare.show = show

local function field_path(path, name)
  if type(name) == "number" then
    return path .. "[" .. name .. "]"
  end
  return path == "" and tostring(name) or path .. "." .. tostring(name)
end

local function equal(a, b)
  return a == b and number_type(a) == number_type(b)
end

local function find_difference(path, wanted, got)
  if type(wanted) ~= "table" or type(got) ~= "table" then
    if equal(wanted, got) then
      return nil
    end
    return (path == "" and "" or path .. ": ") .. show(wanted) .. " expected, got " .. show(got)
  end
  for name, value in pairs(wanted) do
    local found = find_difference(field_path(path, name), value, got[name])
    if found then
      return found
    end
  end
  for name, value in pairs(got) do
    if wanted[name] == nil then
      return field_path(path, name) .. ": nothing expected, got " .. show(value)
    end
  end
end

--- The first difference found, in words; nil if there is none. Metatables do not count.
---@return string?
function compare.difference(wanted, got)
  return find_difference("", wanted, got)
end

--- A deep copy.
function compare.copy(value)
  if type(value) ~= "table" then
    return value
  end
  local copied = {}
  for name, field in pairs(value) do
    copied[name] = compare.copy(field)
  end
  return copied
end

return compare
