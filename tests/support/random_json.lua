--- Random values that JSON can hold, the same ones for the same seed on one Lua.

local json = require "tokencache.json"

local random_json = {}

--- Code points where encoders go wrong: controls, quotes, each UTF-8 length's first and last.
local CHARACTERS = {
  "\0", "\1", "\31", " ", '"', "\\", "/", "\127", "\194\128", "\195\169", "\223\191",
  "\224\160\128", "\226\128\168", "\237\159\191", "\238\128\128", "\239\191\191",
  "\240\144\128\128", "\240\159\152\128", "\244\143\191\191", "a", "token", "\n", "\r", "\t",
}

local function text()
  local parts = {}
  for i = 1, math.random(0, 8) do
    parts[i] = CHARACTERS[math.random(#CHARACTERS)]
  end
  return table.concat(parts)
end

local function key()
  return (text():gsub("%z", "0")) -- a key may not hold a NUL
end

local function integer()
  local digits = {}
  for i = 1, math.random(1, 18) do
    digits[i] = math.random(i == 1 and 1 or 0, 9)
  end
  local sign = math.random(2) == 1 and "-" or ""
  return assert(json.decode(sign .. table.concat(digits)))
end

local function real()
  return (math.random() - 0.5) * 2 ^ math.random(-1000, 1000)
end

local function container(depth, new, name)
  for i = 1, math.random(0, 4) do
    new[name(i)] = random_json.value(depth - 1)
  end
  return new
end

local makers = {
  text, integer, real,
  function() return math.random(2) == 1 end,
  function() return json.null end,
  function(depth) return container(depth, {}, key) end,
  function(depth) return container(depth, json.array(), function(i) return i end) end,
}

---@param depth integer  how many levels of tables it may have
---@return any
function random_json.value(depth)
  return makers[math.random(depth > 0 and #makers or 5)](depth)
end

--- Whether two values are the same to the letter: integers and floats told apart where Lua does
--- that, arrays from objects, NaN the same as itself.
---@return boolean
function random_json.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    local number_type = math.type or type -- luacheck: ignore 143
    return a == b and number_type(a) == number_type(b)
  end
  if getmetatable(a) ~= getmetatable(b) then
    return false
  end
  for name, value in pairs(a) do
    if not random_json.same(value, b[name]) then
      return false
    end
  end
  for name in pairs(b) do
    if a[name] == nil then
      return false
    end
  end
  return true
end

return random_json
