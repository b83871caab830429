--- Debts where nobody asks: looked after by timers, taken over from workers that are gone, and
--- tried once more at the end of the process.

local core = require "tokencache._core"
local debt = require "tokencache.account.debt"
local environment = require "tokencache.environment"
local lock = require "tokencache.lock"
local payment = require "tokencache.account.debt_payment"
local shared = require "tokencache.account.shared"

local timers = {}

local FIRST_BEAT, BEAT = 1, 3 -- seconds before the first look at a debt, and between two
local LAST_SECOND = 1         -- seconds when the Lua state is closed, in which attempts may begin

local look_after

local function set_timer(state, seconds)
  local owed = state.owed
  local io = owed.account.flow.io
  local ok = io.after(seconds, function()
    look_after(state)
  end, function()
    if state.owed then
      state.owed.next_at = 0
      payment.settle(state)
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
    owed.lock:keep()
  else
    payment.settle(state)
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
      payment.attempt(state, state.owed, held)
    end
  end
  payment.return_lock(state, held)
  timers.keep(state)
end

--- Looks from time to time after what another worker owes, for as long as it does.
---@param account tokencache.Account
function timers.watch(account)
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
      timers.watch(account) -- first: the next may raise
      take_over(account, now)
    end
  end)
end

--- At the end of the Lua state, what is owed to a file or a server gets a last attempt: those wait
--- without an event loop. Best effort: a process may end without closing its state, and one attempt
--- lasts as long as the store's own timeouts say.
function timers.save_at_close(process)
  local ends = core.monotonic() + LAST_SECOND
  process.is_closing = true
  for _, state in pairs(process.states) do
    local owed = state.owed
    if owed and owed.account.handler.account_id and core.monotonic() < ends
      and type(owed.account.handler:account_id()) == "string" then
      owed.next_at = 0
      payment.settle(state)
    end
  end
end

local function look_after_close(process)
  if not process.is_closed_with_care and not environment.nginx then
    process.is_closed_with_care = true
    core.at_close(function() timers.save_at_close(process) end)
  end
end

--- Sees to it that the debt is looked after where nobody asks. A timer that is long overdue was
--- lost to an error, or to too many others.
---@param state tokencache.AccountState
function timers.keep(state)
  local owed = state.owed
  if not owed then
    return
  end
  look_after_close(owed.account.process)
  local io = owed.account.flow.io
  if not io.after or owed.account.handler.in_request
    or (owed.timed and io.monotonic() < owed.timed + BEAT) then
    return
  end
  set_timer(state, FIRST_BEAT)
end

return timers
