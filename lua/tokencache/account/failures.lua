--- One failure for all who waited for it: a run that waited for the lock, while the attempt of its
--- holder failed, ends with the same error. A run that comes later tries again.

local errors = require "tokencache.error"
local shared = require "tokencache.account.shared"

local failures = {}

--- What other runs wait for, and get too if it fails: not what a login of somebody's or a token of
--- the caller's own has come to.
local function is_shared(run, err)
  return run.asked and not run.logged_in and not run.options.given
    and not (run.options.refused and err.kind == "denied")
end

--- Notes that an attempt has failed.
---@param run tokencache.Run
---@param err? tokencache.Error
function failures.note(run, err)
  if not err or not is_shared(run, err) then
    return
  end
  local flow, state = run.flow, run.state
  state.failure = { err = err, at = flow.io.monotonic(), who = flow:fingerprint() }
  shared.put_failure(state.id, state.failure)
end

--- The failure of an attempt by the same client that ended since then.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@param since number  monotonic seconds
---@return tokencache.Error?
function failures.since(account, state, since)
  local failure = state.failure
  if not failure or failure.at < since then
    failure = shared.get_failure(state.id)
  end
  if failure and failure.at >= since and failure.who == account.flow:fingerprint() then
    return errors.wrap("transient", failure.err)
  end
end

--- How a run sleeps: one that waits for the lock is woken when another of this process lets go.
---@param run tokencache.Run
---@param waits? boolean
---@return fun(seconds: number): any, any
function failures.sleeper(run, waits)
  local io, state = run.flow.io, run.state
  if not waits or not io.new_waiter or (io.refusal and io.refusal()) then
    return io.sleep
  end
  return function(seconds)
    state.waiter = state.waiter or io.new_waiter()
    state.waiter:wait(seconds)
    return true
  end
end

---@param state tokencache.AccountState
function failures.wake(state)
  local waiter = state.waiter
  if waiter then
    state.waiter = nil
    waiter:wake()
  end
end

return failures
