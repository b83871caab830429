--- Debts where nobody asks: looked after by timers, and taken over from workers that are gone.

local lock = require "tokencache.lock"
local shared = require "tokencache.account.shared"

local FIRST_BEAT, BEAT = 1, 3 -- seconds before the first look at a debt, and between two

--- Adds these to the module's functions.
---@param debt table  tokencache.account.debt
return function(debt)
  local look_after

  local function set_timer(state, seconds)
    local owed = state.owed
    local io = owed.account.flow.io
    local ok = io.after(seconds, function()
      look_after(state)
    end, function()
      local now = state.owed
      if now then
        now.next_at = 0
        debt.settle(now.account, state)
      end
    end)
    owed.timed = ok and io.monotonic() + seconds or nil
  end

  --- Extends the debt's lock, tries the save when it is due.
  function look_after(state)
    local owed = state.owed
    if not owed then
      return
    end
    if owed.lock and owed.account.flow.io.monotonic() < owed.next_at then
      owed.lock:prolong()
    else
      debt.settle(owed.account, state)
    end
    if state.owed then
      set_timer(state, BEAT)
    end
  end

  --- Takes over what a worker that is gone owes the store; the lock tells that it is gone.
  local function take_over(account, state)
    local held = lock.new(account.handler, account.flow.io.monotonic)
    if not held:try(BEAT) then
      return
    end
    local info, err, entry = account.handler:get_cached_token(true)
    if err == nil then
      debt.resolve(account, state, info, entry, true)
      if state.owed then
        debt.attempt(state, state.owed, held)
      end
    end
    debt.return_lock(state, held)
    debt.keep(state)
  end

  --- Looks from time to time after what another worker owes, for as long as it does.
  ---@param account tokencache.Account
  function debt.watch(account)
    local io, id = account.flow.io, account.id
    local state = account.process:state(id)
    local handler = account.handler
    if state.watched or not io.after or handler.in_request or not handler.try_lock then
      return
    end
    state.watched = io.after(BEAT, function()
      local now = account.process:state(id)
      now.watched = nil
      if not now.owed and shared.get_debt(account) then
        debt.watch(account) -- first: the next may raise
        take_over(account, now)
      end
    end)
  end

  --- Sees to it that the debt is looked after where nobody asks. A timer that is long overdue was
  --- lost to an error, or to too many others.
  ---@param state tokencache.AccountState
  function debt.keep(state)
    local owed = state.owed
    local io = owed and owed.account.flow.io
    if not owed or not io.after or owed.account.handler.in_request
      or (owed.timed and io.monotonic() < owed.timed + BEAT) then
      return
    end
    set_timer(state, FIRST_BEAT)
  end
end
