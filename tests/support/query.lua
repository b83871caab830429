--- Reads the query of a URL, for specs that look into it.

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

return query
