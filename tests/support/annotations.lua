--- What an editor learns from the annotations in lua/ (LuaCATS): the classes, and what the methods
--- of a class take.

local process = require "support.process"

local annotations = {}

---@class Annotated
---@field parents string[]
---@field fields table<string, string>   types by name, and what is said of them
---@field methods table<string, { name: string, type: string }[]>  their parameters, by name

local HIDDEN = { package = true, private = true, protected = true }

--- Joins what goes on over several lines.
local function logical_lines(text)
  return text:gsub("\n%-%-%- +", " "):gmatch("[^\n]+")
end

local function new_class(classes, line)
  local name, parents = line:match "^%-%-%-@class ([%w_.]+):?([%w_., ]*)"
  local class = { parents = {}, fields = {}, methods = {} }
  -- what comes after two blanks is a comment
  for parent in (parents:match "^(.-)  " or parents):gmatch "[%w_.]+" do
    class.parents[#class.parents + 1] = parent
  end
  classes[name] = class
  return class
end

local function read_file(classes, text)
  local by_variable, class, params = {}, nil, {}
  for line in logical_lines(text) do
    if line:find "^%-%-%-@class " then
      class = new_class(classes, line)
    elseif line:find "^%-%-%-@field " then
      local rest = line:gsub("^%-%-%-@field ", "")
      local name, annotated = rest:match "^([%w_]+)%?? (.*)$"
      if name and not HIDDEN[name] then
        class.fields[name] = annotated
      end
    elseif line:find "^%-%-%-@param " then
      local name, annotated = line:match "^%-%-%-@param ([%w_.]+)%?? (.*)$"
      params[#params + 1] = { name = name, type = annotated }
    else
      local variable = line:match "^local (%u[%w_]*) = "
      local owner, method = line:match "^function ([%w_]+):([%a][%w_]*)"
      if variable and class then
        by_variable[variable], class = class, nil
      elseif by_variable[owner or ""] then
        by_variable[owner].methods[method] = params
      end
      params = line:find "^%-%-" and params or {}
    end
  end
end

---@return table<string, Annotated>
function annotations.read()
  local classes = {}
  local _, paths = process.run { "find", "lua", "-name", "*.lua" }
  for path in paths:gmatch "%S+" do
    read_file(classes, assert(process.read_file(path)))
  end
  return classes
end

--- What is named so in a class and in those that it inherits from, by name.
---@param what "fields"|"methods"
function annotations.all(classes, name, what)
  local class = assert(classes[name], name .. " is no class")
  local all = {}
  for _, parent in ipairs(class.parents) do
    for member, annotated in pairs(annotations.all(classes, parent, what)) do
      all[member] = annotated
    end
  end
  for member, annotated in pairs(class[what]) do
    all[member] = annotated
  end
  return all
end

--- The names of the options in a type: a class, or a table that is written out.
---@return table<string, any>
function annotations.options(classes, annotated)
  local name, written = annotated:match "^(tokencache%.%w+)", annotated:match "^%b{}"
  if name then
    return annotations.all(classes, name, "fields")
  end
  local all = {}
  for option in assert(written, annotated):gsub("%b()", ""):gmatch "([%w_]+)%??:" do
    all[option] = true
  end
  return all
end

return annotations
