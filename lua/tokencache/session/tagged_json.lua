--- Flask's tagged JSON: what JSON lacks is an object of one member, whose name tells the type
--- (flask.json.tag). Such a value stays as it is here, marked, and is written back unchanged.

local json = require "tokencache.json"

local tagged_json = {}

local ESCAPE = " di" -- an object of one member that only looks like a tag
local TAGS = { [ESCAPE] = true, [" t"] = true, [" b"] = true, [" m"] = true, [" u"] = true,
  [" d"] = true }
local MOST_DEPTH = 64

local Tagged = { __name = "tokencache.session.tagged" }

--- The only key, if there is one.
local function only_key(value)
  local key = next(value)
  return key ~= nil and next(value, key) == nil and key or nil
end

local function untag(value)
  if type(value) ~= "table" then
    return value
  end
  local key = only_key(value)
  if key == ESCAPE and type(value[key]) == "table" then
    local inner = only_key(value[key])
    if type(inner) == "string" then
      return { [inner:sub(1, -3)] = untag(value[key][inner]) }
    end
  elseif TAGS[key] then
    return setmetatable(value, Tagged)
  end
  for name, member in pairs(value) do
    value[name] = untag(member)
  end
  return value
end

local function tag(value, depth)
  if type(value) ~= "table" or getmetatable(value) == Tagged or depth == MOST_DEPTH then
    return value
  end
  local key = only_key(value)
  if TAGS[key] then
    return { [ESCAPE] = { [key .. "__"] = tag(value[key], depth + 1) } }
  end
  local copy = getmetatable(value) == "tokencache.array" and json.array() or {}
  for name, member in next, value do
    copy[name] = tag(member, depth + 1)
  end
  return copy
end

---@param text string
---@return table?
---@return string? problem
function tagged_json.decode(text)
  local value, problem = json.decode(text)
  if value == nil then
    return nil, problem
  end
  return text:find('" ', 1, true) and untag(value) or value
end

---@param values table
---@return string?
---@return string? problem
function tagged_json.encode(values)
  return json.encode(tag(values, 0))
end

return tagged_json
