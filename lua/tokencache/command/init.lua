--- The command `tokencache`: reads what it is told, has it done, and ends with a status that tells
--- how it went. Each command is a module here, loaded when it is called.

local core = require "tokencache._core"
local owed = require "tokencache.command.owed"
local say = require "tokencache.command.say"

local command = {}

--- What is asked for most often is read without the parser, which costs as much as all the rest.
local function read_token(arguments)
  local name = arguments[2]
  return #arguments == 2 and arguments[1] == "token" and name:sub(1, 1) ~= "-"
    and { operand = "token", name = name } or nil
end

local function read(arguments)
  if arguments[1] == "help" then
    arguments = { arguments[2] or "--help", arguments[2] and "--help" }
  end
  local found, parser = pcall(require, "tokencache.command.parser")
  if found then
    found = pcall(require, "argparse")
  end
  if not found then
    say.fail("internal", "the Lua module argparse is missing",
      "apt install lua-argparse, or luarocks install argparse")
  end
  local ok, read_arguments = parser.new(parser.modules[arguments[1]] and arguments[1])
    :pparse(arguments)
  if not ok then
    local known = parser.modules[arguments[1]] and arguments[1] .. " " or ""
    local has_key = read_arguments:find("-----BEGIN", 1, true)
    say.fail("usage", has_key and "give the path of a file, and not what is in it"
      or read_arguments:gsub("\nDid", "; did"):gsub("%?$", ""),
      "tokencache " .. known .. "--help")
  end
  return read_arguments
end

local MODULES = { token = "tokencache.command.token" }

local function run(arguments)
  local told = read_token(arguments) or read(arguments)
  say.heed(told)
  local module = MODULES[told.operand]
    or require("tokencache.command.parser").modules[told.operand]
  return require(module)[told.operand](told)
end

--- Says what has failed and what to do about it.
---@param failure any
---@return integer status
local function explain(failure)
  if type(failure) ~= "table" then
    failure = { kind = "internal", message = tostring(failure) }
  end
  if failure.kind then
    say.failure(failure)
  end
  return say.statuses[failure.kind] or failure.status or say.statuses.internal
end

--- Ends the process. At last a token may have to be saved: Lua 5.1 does not close its state.
---@param arguments string[]  of the command line
function command.main(arguments)
  core.process.fill_standard()
  core.process.catch_signals()
  say.note_typed(arguments)
  local ok, status = pcall(function()
    local status = run(arguments)
    core.process.hold_signals(false)
    return status
  end)
  core.process.hold_signals(true)
  owed.save()
  core.process.end_by_signal()
  if not ok then
    status = explain(status)
  end
  if (status or 0) ~= 0 then
    os.exit(status, true)
  end
end

return command
