--- Tokens that are owed to the store: their save failed, or has not been tried yet. A debt belongs
--- to the account, not to an object: whoever asks next finds it, and uses the token meanwhile. Here
--- is told which debts count; debt_payment.lua saves them.

local detached = require "tokencache.account.detached"
local errors = require "tokencache.error"
local log = require "tokencache.log"
local revocation = require "tokencache.account.revocation"
local shared = require "tokencache.account.shared"
local spent = require "tokencache.account.spent"
local token_info = require "tokencache.token_info"

local debt = {}

local LATE = 5 -- seconds: a login that has waited for longer may not be the newest word

---@class tokencache.Debt
---@field info tokencache.TokenInfo  the token that is owed
---@field read? tokencache.TokenInfo what it replaces: the entry as this run read it; nil: none
---@field entry any                  the same, as the handler compares it
---@field renewed? tokencache.TokenInfo  what it was renewed from
---@field is_given? boolean          the caller brought what was renewed
---@field is_login? boolean          it comes from a login, not from a renewal: it overwrites
---@field read_at? number            Unix seconds: when that was read
---@field since number               Unix seconds: a log out since then counts for it
---@field account tokencache.Account  that fell into it
---@field handler table              by which it is saved: of who has asked last
---@field is_being_saved? boolean    a coroutine is at it
---@field is_shared? boolean         the other workers have been told
---@field lock? tokencache.Lock      while no run has it
---@field tries integer
---@field problem? tokencache.Error  of the last attempt
---@field next_at number             monotonic seconds: no attempt before
---@field mark? string|false        of a log out that does not count for it; false: there was none
---@field came_at number            Unix seconds: when it was received
---@field is_logged_out? boolean     it was given up because the user has logged out since
---@field timed? number              monotonic seconds: when the timer that looks after it is due

--- Whether the token has what can be lost, and what one can log out from.
---@param owed tokencache.Debt
---@return boolean
function debt.can_be_lost(owed)
  return token_info.has_refresh_token(owed.info)
end

--- A log out counts for the login, whatever has been renewed of it since: a request that was under
--- way brings its token later. Logins are noted in whole seconds.
local function log_outs_count_since(owed, now)
  local authorized_at = tonumber(owed.info.authorized_at)
  if owed.is_login or owed.is_given then
    return now
  end
  return math.min(owed.read_at or now, authorized_at and authorized_at + 1 or now)
end

local function is_same_token(a, b)
  return a ~= nil and b ~= nil and a.access_token == b.access_token
    and a.refresh_token == b.refresh_token
end

--- Who asks next saves what is owed, by its own handler: that of who fell into debt may be of no
--- use any more, as it had the connection of a request that is over.
---@param account tokencache.Account
---@param state tokencache.AccountState
function debt.adopt(account, state)
  local owed = state.owed
  if owed and owed.handler ~= account.handler then
    owed.handler = account.handler
    if owed.lock then
      owed.lock:move(account.handler)
    end
  end
end

--- Notes that a token is owed, before the first attempt to save it: it must outlive a handler that
--- raises. Its table is the process's own, and goes to no program. There is one debt of an account;
--- a newer token takes the place of the older.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@param owed table  info, read, entry, is_login; since, where another worker received it
---@return tokencache.Debt
function debt.owe(account, state, owed)
  local older = state.owed
  owed.account, owed.handler, owed.tries, owed.next_at = account, account.handler,
    owed.tries or 0, 0
  owed.since = owed.since or log_outs_count_since(owed, account.flow.now())
  owed.came_at = owed.came_at or account.flow.now()
  if older and older.is_login and not owed.is_login then
    if not is_same_token(owed.renewed, older.info) then
      return owed -- it comes from the login before; whoever logged in last counts
    end
    owed.is_login, owed.mark = true, older.mark
  end
  if older then
    debt.adopt(account, state)
    owed.lock, owed.timed = older.lock, older.timed
  else
    account.process.owing = account.process.owing + 1
  end
  account.process:keep(state)
  state.owed, state.kept = owed, not account.handler.in_request or nil
  if debt.can_be_lost(owed) then
    shared.put_debt(owed)
  end
  return owed
end

--- It is saved, or of no use any more. Its lock is let go of, unless a run or an attempt has it.
---@param state tokencache.AccountState
function debt.clear(state)
  local owed = state.owed
  if owed then
    local held = owed.lock
    state.owed, state.kept, owed.lock = nil, nil, nil
    owed.account.process.owing = owed.account.process.owing - 1
    shared.drop_debt(state.id, owed.info)
    if held then
      held:release()
    end
  end
end

--- Drops what another worker owes, where its refresh token has turned out to be dead.
---@param state tokencache.AccountState
---@param dead tokencache.TokenInfo
function debt.note_dead(state, dead)
  shared.drop_debt(state.id, dead)
end

--- Whether the user has logged out since the token came.
---@return boolean?
---@return any err  without it: that cannot be told
local function is_logged_out(owed)
  local handler = owed.handler
  if not handler.get_mark then
    return false
  end
  local mark, err = handler:get_mark()
  if mark == nil and err ~= nil then
    return nil, err
  end
  local at = type(mark) == "string" and mark ~= owed.mark
    and tonumber(mark:match("^out (%d+%.?%d*)$"))
  return at ~= nil and at ~= false and at >= owed.since
end

--- Whether it came a moment ago.
local function is_recent(owed)
  return owed.account.flow.now() - owed.came_at <= LATE
end

--- Notes the mark of a log out before this login, which another machine's clock may date later. One
--- that is found late may be of a log out since.
---@param owed tokencache.Debt
function debt.note_mark(owed)
  local handler = owed.handler
  if owed.is_login and owed.mark == nil and handler.get_mark then
    local mark, err = handler:get_mark()
    if err == nil and is_recent(owed) then
      owed.mark = mark or false
      shared.update_debt(owed)
    end
  end
end

--- Whether it is a login that has just come, not what was renewed of it, and no other worker has
--- taken it over: whatever is there gives way. Clocks of machines differ by some seconds, so the
--- times of logins are compared only where it has been kept waiting.
---@param owed tokencache.Debt
---@return boolean
function debt.is_new_login(owed)
  return owed.is_login and not owed.renewed and owed.tries == 0
    and is_recent(owed) and not shared.was_taken(owed)
end

--- Whether the debt still is the newest word of the account, beside what the store holds now. A
--- miss is no word: stores lose entries; who logs out leaves a mark. Nor is a token that was spent:
--- it may have been read a while ago.
---@return boolean?
---@return any err  without it: that cannot be told
local function stands(owed, state, info)
  if not info then
    local is_out, err = is_logged_out(owed)
    return not is_out, err
  elseif is_same_token(owed.read, info) or shared.replaces(owed, info)
    or debt.is_new_login(owed) then
    return true
  elseif owed.is_login then
    local theirs, ours = tonumber(info.authorized_at), tonumber(owed.info.authorized_at)
    local is_tried = owed.tries ~= 0 or shared.was_taken(owed) -- it may be saved, and renewed
    return not (theirs and ours and (theirs > ours or theirs == ours and is_tried))
  end
  return spent.has(state, info.refresh_token)
end

local function revoke(owed)
  local flow = owed.account.flow
  local err = revocation(flow, owed.info, flow.request_time)
  if err then
    log.warning("it could not be revoked: ", err)
  end
end

--- Somebody else's word counts: a newer token, or a log out, after which the one that came too late
--- is revoked where the provider can do that.
local function give_up(state, owed, info)
  if info then
    return log.warning("a token that could not be saved is given up: the account holds a newer one")
  end
  owed.is_logged_out = true
  state.latest = nil -- nor may it come back when the store does
  log.warning("a token that could not be saved is given up: the user has logged out")
  if not owed.account.process.is_closing then -- nobody waits for it, where there are timers
    detached(owed.account, owed.account.flow.io.monotonic(), revoke, owed)
  end
end

--- What another worker of this nginx owes the store, where it still counts. Under the account's
--- lock it is taken over: its owner is gone, or was stopped for longer than its lock lives.
---@return tokencache.TokenInfo?
---@return any err  it cannot be told
---@return boolean? is_elsewhere  it is another worker's still
local function owed_elsewhere(account, state, info, entry, is_locked)
  local owed = shared.get_debt(account)
  if not owed then
    return nil
  end
  owed.account, owed.handler = account, account.handler
  local is_newest, err = false, nil
  if not is_same_token(owed.info, info) then
    is_newest, err = stands(owed, state, info)
  end
  if err ~= nil then
    return nil, err
  elseif not is_newest then
    shared.drop_debt(state.id, owed.info)
    return nil
  elseif is_locked then
    owed.read, owed.entry, owed.tries = info, entry, math.max(owed.tries or 0, 1)
    debt.owe(account, state, owed)
  end
  return token_info.deep_copy(owed.info), nil, not is_locked
end

--- What is owed, where the store cannot be read.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@return tokencache.TokenInfo?
function debt.unread(account, state)
  local owed = state.owed or shared.get_debt(account)
  return owed and token_info.deep_copy(owed.info)
end

--- While this worker was stopped, another may have taken the debt over, and renewed the token.
local function drop_if_outdated(account, state)
  local owed = state.owed
  local theirs = owed and shared.get_debt(account)
  if theirs and theirs.came_at > owed.came_at and not is_same_token(theirs.info, owed.info) then
    debt.clear(state)
  end
end

--- What the account holds, given what its store holds: a token that is owed, where it still counts,
--- or the successor of a spent one that the store has brought back.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@param info? tokencache.TokenInfo
---@param entry any
---@param is_locked? boolean  the account's lock is held
---@return tokencache.TokenInfo?
---@return any err  it cannot be told
---@return boolean? is_elsewhere  another worker owes it
function debt.resolve(account, state, info, entry, is_locked)
  drop_if_outdated(account, state)
  local owed = state.owed
  if owed and is_same_token(owed.info, info) then
    debt.clear(state) -- saved after all
    return info
  end
  local is_newest, err
  if owed then
    is_newest, err = stands(owed, state, info)
  end
  if err ~= nil then
    return nil, errors.wrap("cache", err)
  elseif is_newest then
    owed.read, owed.entry = info, entry
    return token_info.deep_copy(owed.info)
  elseif owed and state.owed == owed and not owed.is_being_saved then -- who does that gives it up
    debt.clear(state)
    give_up(state, owed, info)
  end
  local theirs, is_elsewhere
  theirs, err, is_elsewhere = owed_elsewhere(account, state, info, entry, is_locked)
  if err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  local successor, since
  if info and not theirs then
    successor, since = spent.successor(state, info.refresh_token)
  end
  if not successor then
    return theirs or info, nil, is_elsewhere
  end
  debt.owe(account, state,
    { info = successor, read = info, entry = entry, renewed = info, since = since })
  return token_info.deep_copy(successor)
end

--- Why no token is asked for: one that is owed must be saved before, and who owes it has the lock.
---@param run tokencache.Run
---@return tokencache.Error?  nil: nothing is known of a debt
function debt.explanation(run)
  if run.state.owed then
    return errors.new("cache", "the last token is not saved yet, so no other is asked for")
  elseif run.busy == "owed" or shared.get_debt(run.account) then
    return errors.new("cache", "another process keeps the cache's lock, for it has a token that it "
      .. "could not save yet; mend the cache, and see that process's log for what is wrong with it")
  end
end

return debt
