--- Reads settings that are written as Lua: assignments, or `return` and a table. They are data:
--- no name has a value, nothing is called and nothing loops.

local load_text = loadstring or load -- luacheck: ignore 113

local WORDS = { ["true"] = { true }, ["false"] = { false }, ["nil"] = {} }

local NAME = "[%a_][%w_]*"

---@class tokencache.DataReader
---@field text string
---@field at integer  what is next

local function fail(self, wanted)
  local _, lines = self.text:sub(1, self.at - 1):gsub("\n", "")
  error({ problem = lines + 1 .. ": " .. wanted .. " expected" }, 0)
end

--- Where a long bracket that begins there has ended; nil: none does.
local function after_brackets(self, at)
  local equals = self.text:match("^%[(=*)%[", at)
  if equals then
    local _, last = self.text:find("]" .. equals .. "]", at, true)
    return last and last + 1 or fail(self, "]" .. equals .. "]")
  end
end

--- Passes over blanks and comments.
local function skip(self)
  repeat
    local at = self.text:match("^%s*()", self.at)
    local is_comment = self.text:sub(at, at + 1) == "--"
    self.at = is_comment
      and (after_brackets(self, at + 2) or self.text:match("^[^\r\n]*()", at)) or at
  until not is_comment
end

--- Takes what matches the pattern, if that is next.
---@return string?
local function take(self, pattern)
  skip(self)
  local found, at = self.text:match("^(" .. pattern .. ")()", self.at)
  self.at = at or self.at
  return found
end

--- Where a string in quotes that begins here has ended; nil: none does.
local function after_quotes(self)
  local at, quote = self.at, self.text:match("^[\"']", self.at)
  if not quote then
    return nil
  end
  local char
  repeat
    at = self.text:match("^[^\\\r\n" .. quote .. "]*()", at + (char and 2 or 1))
    char = self.text:sub(at, at)
  until char ~= "\\"
  return char == quote and at + 1 or fail(self, "the end of the string")
end

--- Lua tells what its escapes mean.
local function read_string(self, after)
  local made = load_text("return " .. self.text:sub(self.at, after - 1))
  if not made then
    fail(self, "a string without unknown escapes")
  end
  self.at = after
  return made()
end

local read_table

local function read_value(self)
  skip(self)
  local after = after_quotes(self) or after_brackets(self, self.at)
  if after then
    return read_string(self, after)
  elseif take(self, "{") then
    return read_table(self)
  end
  local word = self.text:match("^-?[%w_.]+", self.at) or ""
  local known, number = WORDS[word], word:find "^-?[%d.]" and tonumber(word)
  if not known and not number then
    fail(self, "a string, a number, true, false, nil or a table")
  end
  self.at = self.at + #word
  return number or known[1]
end

--- The name before an equals sign, if that is next.
local function take_name(self)
  local at = self.at
  local name = take(self, NAME)
  if name and take(self, "=") then
    return name
  end
  self.at = at
end

local function read_key(self)
  skip(self)
  if after_brackets(self, self.at) or not take(self, "%[") then
    return take_name(self)
  end
  local key = read_value(self)
  return take(self, "%]") and take(self, "=") and key or fail(self, "]=")
end

function read_table(self)
  local fields, count = {}, 0
  while not take(self, "}") do
    local key = read_key(self)
    if key == nil then
      count = count + 1
      key = count
    end
    fields[key] = read_value(self)
    if not take(self, "[,;]") and self.text:sub(self.at, self.at) ~= "}" then
      fail(self, ", or }")
    end
  end
  return fields
end

local function read(self)
  local fields = {}
  if take(self, "return%f[^%w_]") then
    fields = take(self, "{") and read_table(self) or fail(self, "a table")
    take(self, ";")
  else
    for name in take_name, self do
      fields[name] = read_value(self)
      take(self, ";")
    end
  end
  skip(self)
  return self.at > #self.text and fields or fail(self, "name = value")
end

---@param text string
---@return table? fields
---@return string? problem  "3: ... expected", which begins with the line
return function(text)
  local ok, result = pcall(read, { text = text, at = 1 })
  if ok then
    return result
  end
  return nil, type(result) == "table" and result.problem or "1: tables within so many tables"
end
