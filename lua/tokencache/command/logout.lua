--- Ends a login.

local config = require "tokencache.command.config"
local flows = require "tokencache.command.flows"
local say = require "tokencache.command.say"

return {
  logout = function(arguments)
    local name = arguments.name
    local ok, err = flows.open(name, config.account(name)):log_out()
    if not ok then
      say.fail_with(name, err, "tokencache logout " .. name)
    elseif err then
      say.line(name, ": forgotten here, but: ", tostring(err))
      return say.statuses[err.kind]
    end
    say.note(name, ": logged out")
  end,
}
