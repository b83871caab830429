--- Tokens that have come and could not be saved. They are in memory alone, and where each refresh
--- token works once the login would end with the process.

local owed = {}

--- Tries to save them.
---@return boolean is_left  some are owed still
function owed.save()
  local process = package.loaded["tokencache.account.process"]
  if process and process.own.owing > 0 then
    require("tokencache.account.debt_timers").save_at_close(process.own)
    process.own.is_closing = nil -- it may go on
  end
  return process ~= nil and process.own.owing > 0
end

return owed
