--- Runs a command with a token in its environment, which only its user can read.

local core = require "tokencache._core"
local fresh = require "tokencache.command.fresh"
local say = require "tokencache.command.say"

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

local CANNOT_RUN = 127

--- The Lua state is not closed, which is when that is tried for the last time.
local function save_what_is_owed()
  local process = package.loaded["tokencache.account.process"]
  if process and process.own.owing > 0 then
    require("tokencache.account.debt_timers").save_at_close(process.own)
  end
end

return {
  exec = function(arguments)
    local info = fresh.wanted(arguments)
    save_what_is_owed()
    core.process.hold_signals(false)
    core.process.set_environment(arguments.env, info.access_token)
    local problem = core.process.exec(unpack(arguments.command))
    say.line(core.printable(arguments.command[1]), ": ", problem)
    return CANNOT_RUN
  end,
}
