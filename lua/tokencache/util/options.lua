--- Checks the option tables of constructors. A wrong option is a mistake in the program, so it
--- raises; an unknown name raises too, because a typo must not be silence.

local in_words = require "tokencache.util.in_words"

local options = {}

---@class tokencache.OptionRule
---@field [1] string|string[]  the type or types that are right: those of `type()`, "callable",
---                            "object", "number>0" or "number>=0"
---@field required? boolean
---@field default? any
---@field hint? string  what to give

--- Types beside those of `type()`: in words, and how they are known.
local types = {
  ["number>0"] = { "a number above zero", function(value)
    return type(value) == "number" and value > 0 and value < math.huge
  end },
  ["number>=0"] = { "a number, zero or more", function(value)
    return type(value) == "number" and value >= 0 and value < math.huge
  end },
  callable = { "a function", function(value)
    local meta = type(value) ~= "function" and getmetatable(value)
    return type(value) == "function" or (type(meta) == "table" and meta.__call ~= nil)
  end },
  object = { "a table or userdata", function(value) -- its methods can be looked up
    return type(value) == "table" or type(value) == "userdata"
  end },
}

local function has_type(value, wanted)
  local known = types[wanted]
  return type(value) == wanted or known ~= nil and known[2](value)
end

local function type_list(wanted)
  local names = {}
  for i, name in ipairs(type(wanted) == "table" and wanted or { wanted }) do
    names[i] = types[name] and types[name][1] or "a " .. name
  end
  return table.concat(names, " or ")
end

--- Whether the value is of the type, or of one of the types, that a rule names.
---@param value any
---@param wanted string|string[]
---@return boolean
function options.matches(value, wanted)
  if type(wanted) ~= "table" then
    return has_type(value, wanted)
  end
  for i = 1, #wanted do
    if has_type(value, wanted[i]) then
      return true
    end
  end
  return false
end

--- Whether the value is a list of such elements, without holes.
---@param list table
---@param wanted string   the type of its elements
---@param or_else? string  another type that they may have
---@return boolean
function options.is_list(list, wanted, or_else)
  local count = 0
  for _ in pairs(list) do
    count = count + 1
    local found = type(list[count])
    if found ~= wanted and found ~= or_else then
      return false
    end
  end
  return true
end

local names_of = setmetatable({}, { __mode = "k" }) -- by rules

local function sorted_names(rules)
  local names, required, defaults = {}, {}, {}
  for name, rule in pairs(rules) do
    names[#names + 1], defaults[name] = name, rule.default
  end
  table.sort(names)
  for _, name in ipairs(names) do
    required[#required + 1] = rules[name].required and name or nil
  end
  names.required, names.defaults, names_of[rules] = required, { __index = defaults }, names
  return names
end

--- What was given instead: a number itself where another one was wanted.
local function shown(value, wanted)
  return in_words(value, type(wanted) == "string" and wanted:find("^number") ~= nil)
end

local function hint(rule)
  return rule.hint and "; " .. rule.hint or ""
end

local function unknown(name, names)
  return "unknown option " .. tostring(name)
    .. (type(name) == "string" and require "tokencache.util.nearest"(name, names)
    or "; known are " .. table.concat(names, ", "))
end

--- What is wrong with `given`, if anything.
---@param given table
---@param rules table<string, tokencache.OptionRule>
---@return string? problem
function options.problem(given, rules)
  if type(given) ~= "table" then
    return "a table of options expected, got " .. type(given)
  end
  local names, is_right = names_of[rules] or sorted_names(rules), true
  for name, value in next, given do
    local rule = rules[name]
    if not rule then
      return unknown(name, names)
    end
    is_right = is_right and (type(value) == rule[1] or options.matches(value, rule[1]))
  end
  -- in their order, so that the same mistake is always named
  for _, name in ipairs(is_right and names.required or names) do
    local rule, value = rules[name], given[name]
    if value == nil then
      if rule.required then
        return name .. " is required" .. hint(rule)
      end
    elseif not is_right and not options.matches(value, rule[1]) then
      return name .. " must be " .. type_list(rule[1]) .. ", not " .. shown(value, rule[1])
        .. hint(rule)
    end
  end
end

--- Returns a checked copy of `given`, defaults filled in, or what is wrong with it.
---@param given table?
---@param rules table<string, tokencache.OptionRule>
---@return table?
---@return string? problem
function options.read(given, rules)
  given = given == nil and {} or given
  local problem = options.problem(given, rules)
  if problem then
    return nil, problem
  end
  local names, checked = names_of[rules], {}
  for i = 1, #names do
    local name = names[i]
    local value = given[name]
    if value == nil then
      value = rules[name].default
    end
    if value ~= nil then
      checked[name] = value
    end
  end
  return checked
end

--- The same, raising.
---@param where string   the function's name, for messages: "cache.file"
---@param given table?
---@param rules table<string, tokencache.OptionRule>
---@param level? integer  the stack level to blame, as for `error`, seen from the caller; default 2
---@return table
function options.check(where, given, rules, level)
  local checked, problem = options.read(given, rules)
  if not checked then
    error(where .. ": " .. problem, (level or 2) + 1)
  end
  return checked
end

--- The same for what is called often: `pairs` and `rawget` find only what was given, for the
--- defaults are behind the copy.
---@param where string
---@param given table
---@param rules table<string, tokencache.OptionRule>
---@return table
function options.check_given(where, given, rules)
  local problem = options.problem(given, rules)
  if problem then
    error(where .. ": " .. problem, 3)
  end
  local checked = {}
  for name, value in next, given do
    checked[name] = value
  end
  return setmetatable(checked, names_of[rules].defaults)
end

--- Checks one argument of the caller's caller.
---@param where string
---@param name string
---@param value any
---@param wanted string
function options.argument(where, name, value, wanted)
  if not has_type(value, wanted) then
    error(where .. ": " .. name .. " must be a " .. wanted .. ", not " .. in_words(value), 3)
  end
end

--- What is wrong with an object that must have these methods, if anything.
---@param object table|userdata
---@param methods string[]
---@return string? problem
function options.lacking(object, methods)
  for _, method in ipairs(methods) do
    if object[method] == nil then
      return "has no method " .. method
    end
  end
end

--- A list of strings as one text with blanks between; nil: it is no such list.
---@param list table
---@return string?
function options.joined(list)
  return options.is_list(list, "string") and table.concat(list, " ") or nil
end

--- Raises where a method is not called on its object, and blames its caller.
---@param self any
---@param metatable table  of such objects
---@param method string
function options.called_on(self, metatable, method)
  if getmetatable(self) ~= metatable then
    error(method .. ": call it with a colon", 3)
  end
end

--- Both sets of rules, or of methods, in one.
function options.merge(rules, more)
  local all = {}
  for name, rule in pairs(rules) do
    all[name] = rule
  end
  for name, rule in pairs(more) do
    all[name] = rule
  end
  return all
end

return options
