--- Values of Python's that Lua lacks: tables that are marked, so that they are written back as what
--- they were read as. None is `json.null`, a list an array of `tokencache.json`, a dict a table.

local json = require "tokencache.json"

local values = {}

--- What one value and all in it may come to: a node each, and the bytes of strings.
values.MOST = 1048576
values.MOST_DEPTH = 64

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

local marks, kinds = {}, {}
for _, kind in ipairs { "tuple", "set", "frozenset", "bytes", "integer", "dict" } do
  local mark = { __name = "tokencache.session." .. kind }
  marks[kind], kinds[mark] = mark, kind
end

--- Marks a table: "tuple", "set" and "frozenset" are lists; "bytes" has them in [1]; "integer" has
--- in [1] its bytes, little-endian, in two's complement; "dict" has numbers among its keys.
---@param kind string
---@param content table
---@return table
function values.mark(kind, content)
  return setmetatable(content, marks[kind])
end

local function is_sequence(value)
  local count = 0
  for key in next, value do
    count = count + 1
    if type(key) ~= "number" then
      return false
    end
  end
  return count > 0 and count == #value
end

--- Tells what a table is: one of the kinds above, "list", or "dict".
---@param value table
---@return string
function values.kind(value)
  local meta = getmetatable(value)
  if meta == "tokencache.array" then
    return "list"
  end
  return kinds[meta] or is_sequence(value) and "list" or "dict"
end

--- A number as text, if it is whole: "17"; nil: it is a float.
---@param value any  a number, or an integer as `tokencache.json` reads it
---@return string?
function values.digits(value)
  local text = json.encode(value)
  return text and text:match "^%-?%d+$"
end

--- Reports whether a value can be the key of a dict here: a string, or an integer.
---@param value any
---@return boolean
function values.is_key(value)
  return type(value) == "string" or type(value) == "number" and values.digits(value) ~= nil
end

--- The integer of some little-endian bytes in two's complement: a number where all Luas have it
--- exactly.
---@param bytes string
---@return any
function values.integer(bytes)
  bytes = bytes:gsub("([%z\1-\127])%z+$", "%1"):gsub("([\128-\255])\255+$", "%1")
  local count = #bytes
  local last = bytes:byte(count) or 0
  if count > 7 or (count == 7 and last >= 32 and last < 224) then
    return values.mark("integer", { bytes })
  end
  local number, unit, is_negative = 0, 1, last >= 128
  for i = 1, count do
    local byte = bytes:byte(i)
    number, unit = number + (is_negative and 255 - byte or byte) * unit, unit * 256
  end
  return is_negative and -number - 1 or number
end

--- The integer of its digits; nil: it has more than 64 bits.
---@param digits string
---@return any
function values.decimal(digits)
  local number = json.decode((digits:gsub("^(%-?)0+(%d)", "%1%2")))
  return number and values.digits(number) and number
end

--- The double of its eight bytes, the one with the sign first (IEEE 754); of four bytes the float.
---@param bytes string
---@return number
function values.real(bytes)
  local spare, bias, size = 16.0, 1023, 52 -- spare: the second byte's part of the mantissa
  if #bytes == 4 then
    spare, bias, size = 128.0, 127, 23
  end
  local first, second = bytes:byte(1, 2)
  local exponent = math.floor((first % 128 * 256 + second) / spare)
  local mantissa = second % spare
  for i = 3, #bytes do
    mantissa = mantissa * 256 + bytes:byte(i)
  end
  local sign = first >= 128 and -1.0 or 1.0
  if exponent == 2 * bias + 1 then
    return mantissa == 0 and sign * math.huge or 0 / 0
  elseif exponent == 0 then
    return sign * mantissa * 2.0 ^ (1 - bias - size)
  end
  return sign * (1 + mantissa / 2.0 ^ size) * 2.0 ^ (exponent - bias)
end

--- The eight bytes of a double.
---@param number number
---@return string
function values.bytes_of_real(number)
  local sign, exponent, mantissa = 0, 0, 0.0
  if number < 0 or 1 / number < 0 then
    sign, number = 128, -number
  end
  if number ~= number then
    exponent, mantissa = 2047, 2.0 ^ 51
  elseif number == math.huge then
    exponent = 2047
  elseif number < 2.0 ^ -1022 then
    mantissa = number * 2.0 ^ 537 * 2.0 ^ 537
  else
    exponent = 1023
    while number >= 2 do
      number, exponent = number / 2, exponent + 1
    end
    while number < 1 do
      number, exponent = number * 2, exponent - 1
    end
    mantissa = (number - 1) * 2.0 ^ 52
  end
  local bytes = {}
  for i = 8, 3, -1 do
    bytes[i] = string.char(math.floor(mantissa % 256))
    mantissa = math.floor(mantissa / 256)
  end
  bytes[2] = string.char(math.floor(exponent % 16 * 16 + mantissa))
  bytes[1] = string.char(math.floor(sign + exponent / 16))
  return table.concat(bytes)
end

--- The little-endian bytes of a whole number, by its digits: below 2^64.
---@param digits string
---@return string
function values.bytes_of_decimal(digits)
  local bytes = { 0, 0, 0, 0, 0, 0, 0, 0 }
  for digit in digits:gmatch "%d" do
    local carry = tonumber(digit)
    for i = 1, 8 do
      carry = carry + bytes[i] * 10
      bytes[i], carry = carry % 256, math.floor(carry / 256)
    end
  end
  return string.char(unpack(bytes))
end

--- The two's complement of little-endian bytes.
---@param bytes string
---@return string
function values.negated(bytes)
  local carry = 1
  return (bytes:gsub(".", function(byte)
    local value = 255 - byte:byte() + carry
    carry = math.floor(value / 256)
    return string.char(value % 256)
  end))
end

--- Spends of `left` what the value and all in it cost; nil: too much, too deep, or in a circle.
local function spend(value, left, depth)
  left = left - 1 - (type(value) == "string" and #value or 0)
  if left < 0 or depth > values.MOST_DEPTH then
    return nil
  elseif type(value) ~= "table" then
    return left
  end
  for key, member in next, value do
    left = spend(member, type(key) == "string" and left - #key or left, depth + 1)
    if not left then
      return nil
    end
  end
  return left
end

--- Reports whether a value can be handled: what is referred to many times counts each time.
---@param value any
---@return boolean
function values.is_bounded(value)
  return spend(value, values.MOST, 0) ~= nil
end

return values
