--- Reads and writes the queries of URLs.

local core = require "tokencache._core"

local query = {}

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

---@param url string
---@return table<string, string> params  raises where one is there twice
---@return string base  what is before the '?'
function query.read(url)
  local base, rest = url:match("^([^?]*)%??(.*)$")
  local params = {}
  for encoded, value in rest:gmatch("([^&=]+)=([^&]*)") do
    local name = decode(encoded)
    assert(params[name] == nil, name .. " is there twice")
    params[name] = decode(value)
  end
  return params, base
end

---@param params? table<string, any>
---@return string
function query.write(params)
  local words = {}
  for name, value in pairs(params or {}) do
    words[#words + 1] = name
    words[#words + 1] = tostring(value)
  end
  return core.form_encode(words)
end

return query
