--- Python's pickles, of the types that a session is made of. Nothing is imported, called or
--- executed: an opcode that would do so is refused by its name, as is every other that
--- `pickle.dumps` does not write for these types.
---
--- What a pickle may take is bounded: its bytes, and what comes of them when each reference is
--- counted as often as it is made. Protocols 0 to 5 are read; protocol 3 is written.

local binary = require "tokencache.session.binary"
local json = require "tokencache.json"
local values = require "tokencache.session.values"

local mark, char = values.mark, string.char
local fail, take = binary.fail, binary.take

--- Names of what is refused, for the message.
local REFUSED = {
  c = "GLOBAL", ["\147"] = "STACK_GLOBAL", R = "REDUCE", b = "BUILD", i = "INST", o = "OBJ",
  ["\129"] = "NEWOBJ", ["\146"] = "NEWOBJ_EX", P = "PERSID", Q = "BINPERSID", ["\130"] = "EXT1",
  ["\131"] = "EXT2", ["\132"] = "EXT4", ["\150"] = "BYTEARRAY8", ["\151"] = "NEXT_BUFFER",
  ["\152"] = "READONLY_BUFFER", S = "STRING", T = "BINSTRING", U = "SHORT_BINSTRING", ["0"] = "POP",
  ["1"] = "POP_MARK", ["2"] = "DUP",
}

local MARK = {} -- on the stack
local HIGHEST = 5

---@class tokencache.PickleReader: tokencache.BinaryReader
---@field stack any[]
---@field count integer
---@field memo table<integer, any>
---@field memoized integer

local function line(reader)
  local text, after = reader.text:match("^([^\n]*)\n()", reader.at)
  if not text then
    fail "it is truncated"
  end
  reader.at = after
  return text
end

--- A little-endian number of some bytes. More than can be is as good as any.
local function natural(reader, length)
  local number = binary.natural(take(reader, length):reverse())
  return number < 2 ^ 31 and number or 2 ^ 31
end

local function push(reader, value)
  reader.count = reader.count + 1
  reader.stack[reader.count] = value
end

local function pop(reader)
  local value = reader.stack[reader.count]
  if value == nil or value == MARK then
    fail "its stack is empty"
  end
  reader.stack[reader.count] = nil
  reader.count = reader.count - 1
  return value
end

--- Takes all above the mark, and the mark.
local function pop_items(reader)
  local stack, first = reader.stack, reader.count
  while stack[first] ~= MARK do
    first = first - 1
    if first < 1 then
      fail "it has no mark"
    end
  end
  local items = {}
  for i = first + 1, reader.count do
    items[#items + 1], stack[i] = stack[i], nil
  end
  stack[first], reader.count = nil, first - 1
  return items
end

local function top(reader, kind)
  local value = reader.stack[reader.count]
  if type(value) ~= "table" or value == MARK
    or (values.kind(value) ~= kind and not (kind == "dict" and next(value) == nil)) then
    fail("there is no " .. kind .. " on its stack")
  end
  return value
end

local function set_item(dict, key, value)
  if type(key) == "number" and values.digits(key) then
    if getmetatable(dict) == nil then
      mark("dict", dict)
    end
  elseif type(key) ~= "string" then
    fail("a dict has a key that is neither a string nor an integer")
  end
  dict[key] = value
end

local function set_items(reader, items)
  local dict = top(reader, "dict")
  if #items % 2 == 1 then
    fail "a key has no value"
  end
  for i = 1, #items, 2 do
    set_item(dict, items[i], items[i + 1])
  end
end

local function append(list, items)
  local count = #list
  for i, item in ipairs(items) do
    list[count + i] = item
  end
end

local function memoize(reader, index)
  local value = reader.stack[reader.count]
  if value == nil or value == MARK then
    fail "there is nothing to be remembered"
  end
  reader.memo[index], reader.memoized = value, reader.memoized + 1
end

local function recall(reader, index)
  local value = reader.memo[index]
  if value == nil then
    fail "it refers to nothing"
  end
  push(reader, value)
end

local function decimal(text)
  local digits = text:match "^(%-?%d+)L?$"
  return digits and values.decimal(digits) or fail "an integer has more than 64 bits, or is none"
end

local function utf8(code)
  if code < 128 then
    return char(code)
  elseif code < 2048 then
    return char(192 + math.floor(code / 64), 128 + code % 64)
  elseif code < 65536 then
    return char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64)
  elseif code < 1114112 then
    return char(240 + math.floor(code / 262144), 128 + math.floor(code / 4096) % 64,
      128 + math.floor(code / 64) % 64, 128 + code % 64)
  end
  fail "a character is none"
end

--- raw-unicode-escape: Latin-1, with \uXXXX and \UXXXXXXXX.
local function raw_unicode(text)
  text = text:gsub("[\128-\255]", function(c) return "\\u00" .. ("%02x"):format(c:byte()) end)
  text = text:gsub("\\U(%x%x%x%x%x%x%x%x)", function(hex) return utf8(tonumber(hex, 16)) end)
  return (text:gsub("\\u(%x%x%x%x)", function(hex) return utf8(tonumber(hex, 16)) end))
end

local REALS = { inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0 }

local function real(text)
  local number = REALS[text] or text:find "^[-+%d.eE]+$" and tonumber(text)
  return number and number + 0.0 or fail "a float is none"
end

local function push_list(reader, items)
  push(reader, json.array(items))
end

local opcodes = {
  ["\128"] = function(r)
    if take(r, 1):byte() > HIGHEST then
      fail "its protocol is newer than 5"
    end
  end,
  ["\149"] = function(r)
    if natural(r, 8) > #r.text - r.at + 1 then
      fail "a frame is longer than the pickle"
    end
  end,
  ["("] = function(r) push(r, MARK) end,
  N = function(r) push(r, json.null) end,
  ["\136"] = function(r) push(r, true) end,
  ["\137"] = function(r) push(r, false) end,
  I = function(r)
    local text = line(r)
    if text == "00" or text == "01" then
      push(r, text == "01")
    else
      push(r, decimal(text))
    end
  end,
  L = function(r) push(r, decimal(line(r))) end,
  F = function(r) push(r, real(line(r))) end,
  G = function(r) push(r, values.real(take(r, 8))) end,
  J = function(r) push(r, values.integer(take(r, 4))) end,
  K = function(r) push(r, take(r, 1):byte()) end,
  M = function(r) push(r, natural(r, 2)) end,
  ["\138"] = function(r) push(r, values.integer(take(r, natural(r, 1)))) end,
  V = function(r) push(r, raw_unicode(line(r))) end,
  X = function(r) push(r, take(r, natural(r, 4))) end,
  ["\140"] = function(r) push(r, take(r, natural(r, 1))) end,
  ["\141"] = function(r) push(r, take(r, natural(r, 8))) end,
  C = function(r) push(r, mark("bytes", { take(r, natural(r, 1)) })) end,
  B = function(r) push(r, mark("bytes", { take(r, natural(r, 4)) })) end,
  ["\142"] = function(r) push(r, mark("bytes", { take(r, natural(r, 8)) })) end,
  ["]"] = function(r) push_list(r, {}) end,
  l = function(r) push_list(r, pop_items(r)) end,
  a = function(r)
    local item = pop(r)
    append(top(r, "list"), { item })
  end,
  e = function(r)
    local items = pop_items(r)
    append(top(r, "list"), items)
  end,
  [")"] = function(r) push(r, mark("tuple", {})) end,
  t = function(r) push(r, mark("tuple", pop_items(r))) end,
  ["\133"] = function(r) push(r, mark("tuple", { pop(r) })) end,
  ["\134"] = function(r)
    local second = pop(r)
    push(r, mark("tuple", { pop(r), second }))
  end,
  ["\135"] = function(r)
    local third, second = pop(r), pop(r)
    push(r, mark("tuple", { pop(r), second, third }))
  end,
  ["}"] = function(r) push(r, {}) end,
  d = function(r)
    local items = pop_items(r)
    push(r, {})
    set_items(r, items)
  end,
  s = function(r)
    local value, key = pop(r), pop(r)
    set_item(top(r, "dict"), key, value)
  end,
  u = function(r)
    local items = pop_items(r)
    set_items(r, items)
  end,
  ["\143"] = function(r) push(r, mark("set", {})) end,
  ["\144"] = function(r)
    local items = pop_items(r)
    append(top(r, "set"), items)
  end,
  ["\145"] = function(r) push(r, mark("frozenset", pop_items(r))) end,
  ["\148"] = function(r) memoize(r, r.memoized) end,
  p = function(r) memoize(r, tonumber(line(r):match "^%d+$") or fail "an index is none") end,
  q = function(r) memoize(r, natural(r, 1)) end,
  r = function(r) memoize(r, natural(r, 4)) end,
  g = function(r) recall(r, tonumber(line(r):match "^%d+$") or fail "an index is none") end,
  h = function(r) recall(r, natural(r, 1)) end,
  j = function(r) recall(r, natural(r, 4)) end,
}

local function refuse(reader, opcode)
  local name, module, class = REFUSED[opcode], nil, nil
  if opcode == "c" then
    module, class = line(reader), line(reader)
  elseif opcode == "\147" then
    module, class = reader.stack[reader.count - 1], reader.stack[reader.count]
  end
  local what = type(module) == "string" and type(class) == "string" and module .. "." .. class
  if what and #what <= 100 and not what:find "[^%a_.]" then -- in a damaged one it may be a token
    name = name .. " " .. what
  end
  fail(name and "it has an object of a type that is not read here: " .. name
    or ("it has the unknown opcode %d"):format(opcode:byte()))
end

local function read(text)
  local reader = { text = text, at = 1, stack = {}, count = 0, memo = {}, memoized = 0 }
  while true do
    local opcode = take(reader, 1)
    if opcode == "." then
      break
    end
    local act = opcodes[opcode] or refuse(reader, opcode)
    act(reader)
  end
  local value = pop(reader)
  if not values.is_bounded(value) then
    fail "more comes of it than a session may be, or it contains itself"
  end
  return value
end

local write -- for what is in others

local function write_list(out, list, depth)
  for _, member in ipairs(list) do
    write(out, member, depth + 1)
  end
end

local function write_dict(out, dict, depth)
  out[#out + 1] = "}("
  for key, member in next, dict do
    if not values.is_key(key) then
      fail "a key is neither a string nor an integer"
    end
    write(out, key, depth + 1)
    write(out, member, depth + 1)
  end
  out[#out + 1] = "u"
end

local writers = {
  dict = write_dict,
  bytes = function(out, value)
    out[#out + 1] = "B" .. binary.big_endian(#value[1], 4):reverse() .. value[1]
  end,
  integer = function(out, value)
    out[#out + 1] = "\138" .. char(#value[1]) .. value[1]
  end,
}
for kind, around in pairs { list = { "](", "e" }, tuple = { "(", "t" }, set = { "\143(", "\144" },
  frozenset = { "(", "\145" } } do
  writers[kind] = function(out, value, depth)
    out[#out + 1] = around[1]
    write_list(out, value, depth)
    out[#out + 1] = around[2]
  end
end

local function write_number(out, value)
  local digits = values.digits(value)
  if digits then
    out[#out + 1] = "L" .. digits .. "L\n"
  elseif type(value) == "number" then
    out[#out + 1] = value == math.huge and "Finf\n" or value == -math.huge and "F-inf\n"
      or value ~= value and "Fnan\n" or ("F%.17g\n"):format(value):gsub(",", ".")
  else
    fail("a " .. type(value) .. " cannot be in a session")
  end
end

function write(out, value, depth)
  local kind = type(value)
  if value == json.null then
    out[#out + 1] = "N"
  elseif kind == "boolean" then
    out[#out + 1] = value and "\136" or "\137"
  elseif kind == "string" then
    if not json.encode(value) then
      fail "a string is not UTF-8"
    end
    out[#out + 1] = "X" .. binary.big_endian(#value, 4):reverse() .. value
  elseif kind == "table" then
    writers[values.kind(value)](out, value, depth)
  else
    write_number(out, value)
  end
end

local function write_all(value)
  local out = { "\128\3" }
  write(out, value, 0)
  out[#out + 1] = "."
  return table.concat(out)
end

return binary.format("pickle", read, write_all)
