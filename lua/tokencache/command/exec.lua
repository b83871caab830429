--- Runs a command with a token in its environment, which only its user can read.

local core = require "tokencache._core"
local fresh = require "tokencache.command.fresh"
local owed = require "tokencache.command.owed"
local say = require "tokencache.command.say"

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

local CANNOT_RUN = 127

return {
  exec = function(arguments)
    local info = fresh.wanted(arguments)
    owed.save()
    core.process.hold_signals(false)
    core.process.set_environment(arguments.env, info.access_token)
    local problem = core.process.exec(unpack(arguments.command))
    say.line(core.printable(arguments.command[1]), ": ", problem)
    return CANNOT_RUN
  end,
}
