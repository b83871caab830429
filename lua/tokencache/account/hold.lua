--- Takes the lock of an account for work outside of a run of the engine. Where this process owes
--- the account a token, it has the lock already; else it waits for half of the time: another
--- process may keep the lock for a token that it owes, and the work must be done all the same.

local lock = require "tokencache.lock"
local payment = require "tokencache.account.debt_payment"

---@param account tokencache.Account
---@param state tokencache.AccountState
---@param timeout number  seconds for all of the work
---@return tokencache.Lock?  nil: there is none, it fails, or another keeps it
---@return tokencache.Error?  it fails
return function(account, state, timeout)
  local held = payment.take_lock(state)
  if held then
    return held
  elseif account.handler.try_lock then
    return lock.wait(account.handler, account.flow.io, timeout, timeout / 2)
  end
end
