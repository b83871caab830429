--- Ends a login.

local accounts = require "tokencache.command.account"
local config = require "tokencache.command.config"
local say = require "tokencache.command.say"

return {
  logout = function(arguments)
    local name = arguments.name
    local ok, err = accounts.open(name, config.account(name)):log_out()
    if not ok then
      say.fail_with(name, err, "tokencache logout " .. name)
    elseif err then
      say.line(name, ": forgotten here, but: ", tostring(err))
      return say.statuses[err.kind]
    end
    say.note(name, ": logged out")
  end,
}
