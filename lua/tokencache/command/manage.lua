--- Makes, changes and removes accounts.

local change = require "tokencache.command.change"
local config = require "tokencache.command.config"
local flows = require "tokencache.command.flows"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

local commands = {}

function commands.add(arguments)
  local name = arguments.name
  local changes, secret = change.of(arguments)
  change.make(name, changes, secret, function(settings)
    flows.provider_of(name, settings)
  end)
  say.note(name, ": added; ", changes.grant and "for a token run: tokencache token "
    or "log in: tokencache login ", name)
end

function commands.set(arguments)
  local name = arguments.name
  local changes, secret = change.of(arguments)
  local has_changed = change.alone(name, function()
    config.account(name)
    return change.write(name, changes, secret)
  end)
  say.note(name, has_changed and ": changed" or ": nothing has changed")
end

--- Where no flow can be made of the settings, the token is forgotten all the same.
---@return any? err  why the provider does not know of it
local function log_out(name, settings)
  local opened, account = pcall(flows.open, name, settings)
  if opened then
    local ok, err = account:log_out()
    return ok and err or not ok and say.fail_with(name, err, "tokencache remove " .. name) or nil
  elseif type(account) ~= "table" or account.kind ~= "config" then
    error(account, 0)
  end
  storage.forget_token(name)
  return account
end

function commands.remove(arguments)
  local name = arguments.name
  local err = change.alone(name, function()
    local err = log_out(name, config.account(name))
    storage.keep_secret(name, nil)
    local removed, problem = os.remove(config.path(name))
    return removed and err or not removed and say.fail("config", problem) or nil
  end)
  if err then
    say.line(name, ": removed here, but: ", err.message or tostring(err))
    return say.statuses[err.kind]
  end
  say.note(name, ": removed")
end

return commands
