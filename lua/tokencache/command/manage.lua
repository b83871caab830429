--- Makes, changes and removes accounts.

local change = require "tokencache.command.change"
local config = require "tokencache.command.config"
local core = require "tokencache._core"
local flows = require "tokencache.command.flows"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

local commands = {}

function commands.add(arguments)
  local name = arguments.name
  local changes, secrets = change.of(arguments)
  change.make(arguments, changes, secrets, function(settings)
    flows.check(name, settings, secrets)
    storage.check_room(name)
  end)
  say.note(name, ": added; ", changes.grant and "for a token run: tokencache token "
    or "log in: tokencache login ", name)
end

function commands.set(arguments)
  local name = arguments.name
  local changes, secrets = change.of(arguments)
  local has_changed = change.alone(name, function()
    config.account(name)
    return change.write(name, changes, secrets)
  end)
  say.note(name, has_changed and ": changed" or ": nothing has changed")
end

--- Ends the login, if there is one. Where no flow can be made of the settings, it is forgotten here
--- all the same.
---@return tokencache.CommandFailure|tokencache.Error|nil  why the provider does not know of it
local function log_out(name)
  local opened, account = pcall(function() return flows.open(name, config.account(name)) end)
  if opened then
    local ok, err = account:log_out()
    return ok and err or not ok and say.fail_with(name, err, "tokencache remove " .. name) or nil
  elseif type(account) ~= "table" or account.kind ~= "config" then
    error(account, 0)
  end
  local looked, had_token = pcall(storage.has_token, name)
  storage.forget_token(name)
  return (had_token or not looked) and account or nil
end

function commands.remove(arguments)
  local name = arguments.name
  local path = config.path(name)
  local err = change.alone(name, function()
    if not config.is_there(name) then
      config.account(name)
    end
    local ok, problem = core.file.can_replace(path .. "~", 0) -- in its directory
    if not ok then
      say.fail("config", tostring(problem))
    end
    local err = log_out(name)
    storage.forget_beside(name)
    ok, problem = os.remove(path)
    return ok and err or not ok and say.fail("config", problem) or nil
  end)
  if err then
    say.line(name, ": removed here, but: ", err.message)
    return say.statuses[err.kind]
  end
  say.note(name, ": removed")
end

return commands
