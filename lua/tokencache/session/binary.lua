--- What the readers and writers of binary formats (pickle, MessagePack) have in common.

local values = require "tokencache.session.values"

local binary = {}

---@class tokencache.BinaryReader
---@field text string
---@field at integer  the next byte

--- Ends the reading or writing: `decode` or `encode` returns what is wrong.
---@param problem string
function binary.fail(problem)
  error({ problem = problem }, 0)
end

--- The next bytes.
---@param reader tokencache.BinaryReader
---@param length integer
---@return string
function binary.take(reader, length)
  local at = reader.at
  if length > #reader.text - at + 1 then
    binary.fail "it is truncated"
  end
  reader.at = at + length
  return reader.text:sub(at, at + length - 1)
end

--- The number of big-endian bytes.
---@param bytes string
---@return number
function binary.natural(bytes)
  local number = 0
  for i = 1, #bytes do
    number = number * 256.0 + bytes:byte(i)
  end
  return math.floor(number)
end

--- The big-endian bytes of a number.
---@param number number
---@param length integer
---@return string
function binary.big_endian(number, length)
  local bytes = {}
  for i = length, 1, -1 do
    bytes[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

--- Calls; what was raised by `fail` becomes the second result.
local function guarded(name, call, value)
  local ok, result = pcall(call, value)
  if ok then
    return result
  elseif type(result) == "table" and result.problem then
    return nil, name .. ": " .. result.problem
  end
  error(result, 0)
end

--- The format as sessions use it.
---@param name string
---@param read fun(text: string): any
---@param write fun(value: any): string
function binary.format(name, read, write)
  local format = {}

  ---@param text string
  ---@return any value
  ---@return string? problem  where the value is nil
  function format.decode(text)
    if #text > values.MOST then
      return nil, name .. ": it has more than " .. values.MOST .. " bytes"
    end
    return guarded(name, read, text)
  end

  ---@param value any
  ---@return string?
  ---@return string? problem
  function format.encode(value)
    if not values.is_bounded(value) then
      return nil, name .. ": it is too large, nested too deeply, or contains itself"
    end
    local bytes, problem = guarded(name, write, value)
    if bytes and #bytes > values.MOST then
      return nil, name .. ": it is too large"
    end
    return bytes, problem
  end

  return format
end

return binary
