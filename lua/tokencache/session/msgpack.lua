--- MessagePack, as newer releases of Flask-Session write it. Extension types are refused by their
--- number. What one may take is bounded, as of a pickle.

local binary = require "tokencache.session.binary"
local json = require "tokencache.json"
local values = require "tokencache.session.values"

local char = string.char
local big_endian, fail, take = binary.big_endian, binary.fail, binary.take

--- A big-endian number of up to four bytes.
local function natural(reader, length)
  return binary.natural(take(reader, length))
end

local read -- for what is in others

local function list(reader, count, depth)
  local items = {}
  for i = 1, count do
    items[i] = read(reader, depth + 1)
  end
  return json.array(items)
end

local function map(reader, count, depth)
  local dict = {}
  for _ = 1, count do
    local key = read(reader, depth + 1)
    if type(key) == "number" and values.digits(key) then
      values.mark("dict", dict)
    elseif type(key) ~= "string" then
      fail "a map has a key that is neither a string nor an integer"
    end
    dict[key] = read(reader, depth + 1)
  end
  return dict
end

--- A signed integer; an unsigned one has a byte more, which is zero.
local function integer(reader, length, is_unsigned)
  return values.integer(take(reader, length):reverse() .. (is_unsigned and "\0" or ""))
end

local function bytes_of(reader, length)
  return values.mark("bytes", { take(reader, length) })
end

local function refuse_extension(reader, length)
  local kind = natural(reader, 1)
  fail(("it has an object of a type that is not read here: extension %d of %.0f bytes"):format(
    kind < 128 and kind or kind - 256, length))
end

local function sized(act, length)
  return function(reader, depth) return act(reader, natural(reader, length), depth) end
end

local readers = {
  [0xC0] = function() return json.null end,
  [0xC2] = function() return false end,
  [0xC3] = function() return true end,
  [0xC4] = sized(bytes_of, 1), [0xC5] = sized(bytes_of, 2), [0xC6] = sized(bytes_of, 4),
  [0xC7] = sized(refuse_extension, 1), [0xC8] = sized(refuse_extension, 2),
  [0xC9] = sized(refuse_extension, 4),
  [0xCA] = function(reader) return values.real(take(reader, 4)) end,
  [0xCB] = function(reader) return values.real(take(reader, 8)) end,
  [0xD9] = sized(take, 1), [0xDA] = sized(take, 2), [0xDB] = sized(take, 4),
  [0xDC] = sized(list, 2), [0xDD] = sized(list, 4),
  [0xDE] = sized(map, 2), [0xDF] = sized(map, 4),
}
for i = 0, 3 do
  readers[0xCC + i] = function(reader) return integer(reader, 2 ^ i, true) end
  readers[0xD0 + i] = function(reader) return integer(reader, 2 ^ i) end
end
for i = 0, 4 do
  readers[0xD4 + i] = function(reader) return refuse_extension(reader, 2 ^ i) end
end

function read(reader, depth)
  if depth > values.MOST_DEPTH then
    fail "it is nested too deeply"
  end
  local first = natural(reader, 1)
  if first < 0x80 then
    return first
  elseif first < 0x90 then
    return map(reader, first - 0x80, depth)
  elseif first < 0xA0 then
    return list(reader, first - 0x90, depth)
  elseif first < 0xC0 then
    return take(reader, first - 0xA0)
  elseif first >= 0xE0 then
    return first - 256
  end
  local act = readers[first] or fail "it has a byte that begins nothing"
  return act(reader, depth)
end

local function read_all(text)
  local reader = { text = text, at = 1 }
  local value = read(reader, 0)
  if reader.at <= #text then
    fail "something is behind its end"
  end
  return value
end

--- The shortest of the forms that has room for a length; the first only up to `least`.
local function head(length, base, least, first)
  if length <= least then
    return char(base + length)
  elseif first and length < 256 then
    return char(first) .. big_endian(length, 1)
  end
  local code = first and first + 1 or base == 0x80 and 0xDE or 0xDC
  return length < 65536 and char(code) .. big_endian(length, 2)
    or char(code + 1) .. big_endian(length, 4)
end

local write -- for what is in others

local function write_list(out, items)
  out[#out + 1] = head(#items, 0x90, 15)
  for _, item in ipairs(items) do
    write(out, item)
  end
end

local function write_map(out, dict)
  local at, count = #out + 1, 0
  out[at] = ""
  for key, member in next, dict do
    if not values.is_key(key) then
      fail "a key is neither a string nor an integer"
    end
    count = count + 1
    write(out, key)
    write(out, member)
  end
  out[at] = head(count, 0x80, 15)
end

local writers = {
  list = write_list, tuple = write_list, set = write_list, frozenset = write_list, dict = write_map,
  bytes = function(out, value)
    out[#out + 1] = head(#value[1], 0, -1, 0xC4) .. value[1]
  end,
  integer = function(out, value)
    local bytes = value[1]
    local is_negative = bytes:byte(#bytes) >= 128
    if #bytes > 9 or #bytes == 9 and bytes:byte(9) ~= 0 then
      fail "an integer has more than 64 bits"
    end
    bytes = (bytes .. (is_negative and "\255" or "\0"):rep(8)):sub(1, 8):reverse()
    out[#out + 1] = char(is_negative and 0xD3 or 0xCF) .. bytes
  end,
}

local function write_number(out, value)
  local digits = values.digits(value)
  if digits then
    local negative, rest = digits:match "^(%-?)(%d+)$"
    local bytes = values.bytes_of_decimal(rest)
    if negative == "-" then
      bytes = values.negated(bytes)
    end
    out[#out + 1] = char(negative == "-" and 0xD3 or 0xCF) .. bytes:reverse()
  elseif type(value) == "number" then
    out[#out + 1] = "\203" .. values.bytes_of_real(value)
  else
    fail("a " .. type(value) .. " cannot be in a session")
  end
end

function write(out, value)
  local kind = type(value)
  if value == json.null then
    out[#out + 1] = "\192"
  elseif kind == "boolean" then
    out[#out + 1] = value and "\195" or "\194"
  elseif kind == "string" then
    if not json.encode(value) then
      fail "a string is not UTF-8"
    end
    out[#out + 1] = head(#value, 0xA0, 31, 0xD9) .. value
  elseif kind == "table" then
    writers[values.kind(value)](out, value)
  else
    write_number(out, value)
  end
end

local function write_all(value)
  local out = {}
  write(out, value)
  return table.concat(out)
end

return binary.format("msgpack", read_all, write_all)
