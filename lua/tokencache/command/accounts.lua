--- Makes, changes and removes accounts.

local accounts = require "tokencache.command.account"
local config = require "tokencache.command.config"
local say = require "tokencache.command.say"
local setting = require "tokencache.command.settings"

local commands = {}

function commands.add(arguments)
  local name = arguments.name
  if config.find(name) then
    say.fail("usage", name .. " is there already", "tokencache set " .. name .. " ...")
  end
  local changes, secret = setting.of(arguments)
  setting.make(name, changes, secret, function(settings)
    accounts.provider_of(name, settings)
  end)
  say.note(name, ": added; ", changes.grant and "for a token run: tokencache token "
    or "log in: tokencache login ", name)
end

function commands.set(arguments)
  local name = arguments.name
  config.account(name)
  local has_changed = setting.write(name, setting.of(arguments))
  say.note(name, has_changed and ": changed" or ": nothing has changed")
end

function commands.remove(arguments)
  local name = arguments.name
  local account = accounts.open(name, config.account(name))
  local ok, err = account:log_out()
  if not ok then
    say.fail_with(name, err, "tokencache remove " .. name)
  end
  accounts.keep_secret(name, nil)
  local removed, problem = os.remove(config.path(name))
  if not removed then
    say.fail("config", problem)
  elseif err then
    say.line(name, ": removed here, but: ", tostring(err))
    return say.statuses[err.kind]
  end
  say.note(name, ": removed")
end

return commands
