--- Keys made of parts, which may be text of a user's: no two lists make the same key, and no part
--- reaches beyond its place.

local key = {}

local function escaped(byte)
  return ("%%%02x"):format(byte:byte())
end

--- Writes bytes as %hh.
---@param text string
---@param unsafe string  a pattern for the bytes to be escaped; "%" must be one of them
---@return string
function key.escape(text, unsafe)
  return (text:gsub(unsafe, escaped))
end

--- RFC 3986's unreserved characters stay. What is left out could part keys (":"), mean something to
--- a server (blanks, line ends, Redis Cluster's "{}"), or lead elsewhere ("/").
local UNSAFE = "[^A-Za-z0-9._~-]"

--- Joins the parts by ":", all but letters, digits and "._~-" escaped.
---@param parts string[]
---@return string? key
---@return string? problem
function key.join(parts)
  local safe, count = {}, 0
  for i, part in ipairs(parts) do
    safe[i] = type(part) == "string" and key.escape(part, UNSAFE) or nil
  end
  for _ in pairs(parts) do
    count = count + 1
  end
  if #safe ~= count then -- a nil or number within would drop parts
    return nil, "a list as key must hold strings and nothing else; tostring() makes one of a "
      .. "number"
  end
  return table.concat(safe, ":")
end

--- Checks a key as a program gives it, and raises; returns it as one string.
---@param where string    the function's name, for messages
---@param given string|string[]
---@return string
function key.check(where, given)
  local problem = "key must be a string that is not empty, or a list of strings"
  if type(given) == "table" then
    local joined, why = key.join(given)
    given, problem = joined, why or problem
  end
  if type(given) ~= "string" or given == "" then
    error(where .. ": " .. problem, 3)
  end
  return given
end

return key
