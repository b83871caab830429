--- Ends a login.

local config = require "tokencache.command.config"
local flows = require "tokencache.command.flows"
local owner = require "tokencache.command.owner"
local say = require "tokencache.command.say"
local storage = require "tokencache.command.storage"

return {
  logout = function(arguments)
    local name = arguments.name
    local settings = config.account(name)
    local field = owner.difference(name, settings)
    if field then
      storage.forget_token(name)
      say.line(name, ": forgotten here; it was of another ", field, ", which was not told")
      return
    end
    local ok, err = flows.open(name, settings):log_out()
    if not ok then
      say.fail_with(name, err, "tokencache logout " .. name)
    elseif err then
      say.line(name, ": forgotten here, but: ", tostring(err))
      return say.statuses[err.kind]
    end
    say.note(name, ": logged out")
  end,
}
