--- Tokens that are owed to the store: their save failed, or has not been tried yet. A debt belongs
--- to the account, not to an object: whoever asks next finds it, tries the save again, and uses the
--- token meanwhile. It keeps the lock, so that nobody else sends the refresh token that is spent.

local core = require "tokencache._core"
local detached = require "tokencache.account.detached"
local environment = require "tokencache.environment"
local errors = require "tokencache.error"
local lock = require "tokencache.lock"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local revocation = require "tokencache.account.revocation"
local shared = require "tokencache.account.shared"
local spent = require "tokencache.account.spent"
local token_info = require "tokencache.token_info"

local debt = {}

local AT_ONCE = 4        -- attempts that do not wait: the first, and the next three calls
local LONGEST_PAUSE = 60 -- seconds between two attempts; the first pause is one, then doubled
local LOCK_LIFE = 3      -- seconds for an attempt, where the lock cannot be extended
local LAST_SECOND = 1    -- seconds for the attempts when the Lua state is closed
local LATE = 5           -- seconds that a login may wait for its first save without another look
local LATECOMERS = 3     -- times that the entry may change under an attempt

---@class tokencache.Debt
---@field info tokencache.TokenInfo  the token that is owed
---@field read? tokencache.TokenInfo what it replaces: the entry as this run read it; nil: none
---@field entry any                  the same, as the handler compares it
---@field renewed? tokencache.TokenInfo  what it was renewed from
---@field is_given? boolean          the caller brought what was renewed
---@field is_read? boolean           a login's: what it overwrites was read
---@field is_login? boolean          it comes from a login, not from a renewal: it overwrites
---@field read_at? number            Unix seconds: when that was read
---@field since number               Unix seconds: a log out since then counts for it
---@field account tokencache.Account  by whose handler it is saved
---@field lock? tokencache.Lock      while no run has it
---@field tries integer
---@field next_at number             monotonic seconds: no attempt before
---@field came_at number            Unix seconds: when it was received
---@field is_logged_out? boolean     it was given up because the user has logged out since
---@field timed? number              monotonic seconds: when the timer that looks after it is due

--- Whether the token is a login's, which can be lost, and from which one can log out.
local function is_login(owed)
  return token_info.has_refresh_token(owed.info)
end

--- At the end of the Lua state, what is owed to a file or a server gets a last attempt: those wait
--- without an event loop. Best effort: a process may end without closing its state.
local function save_at_close(process)
  local ends = core.monotonic() + LAST_SECOND
  process.is_closing = true
  for _, state in pairs(process.states) do
    local owed = state.owed
    if owed and owed.account.handler.account_id and core.monotonic() < ends
      and type(owed.account.handler:account_id()) == "string" then
      owed.next_at = 0
      debt.settle(owed.account, state)
    end
  end
end

local function look_after_close(process)
  if not process.is_closed_with_care and not environment.nginx then
    process.is_closed_with_care = true
    core.at_close(function() save_at_close(process) end)
  end
end

--- A log out counts for the login, whatever has been renewed of it since: a request that was under
--- way brings its token later. Logins are noted in whole seconds.
local function since(owed, now)
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

--- Notes that a token is owed, before the first attempt to save it: it must outlive a handler that
--- raises. There is one debt of an account; a newer token takes the place of the older.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@param owed table  info, read, entry, is_login; since, where another worker received it
---@return tokencache.Debt
function debt.owe(account, state, owed)
  local older = state.owed
  owed.account, owed.tries, owed.next_at = account, 0, 0
  owed.since = owed.since or since(owed, account.flow.now())
  owed.came_at = owed.came_at or account.flow.now()
  if older and older.is_login and not owed.is_login then
    if not is_same_token(owed.renewed, older.info) then
      return owed -- it comes from the login before; whoever logged in last counts
    end
    owed.is_login = true
  end
  if older then
    owed.lock, owed.timed = older.lock, older.timed
  else
    account.process.owing = account.process.owing + 1
  end
  state.owed, state.kept = owed, not account.handler.in_request or nil
  if is_login(owed) then
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
  local handler = owed.account.handler
  if not handler.get_mark then
    return false
  end
  local mark, err = handler:get_mark()
  if mark == nil and err ~= nil then
    return nil, err
  end
  local at = type(mark) == "string" and tonumber(mark:match("^out (%d+%.?%d*)$"))
  return at ~= nil and at ~= false and at >= owed.since
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
  elseif owed.is_login then
    local theirs, ours = tonumber(info.authorized_at), tonumber(owed.info.authorized_at)
    return not (theirs and ours and theirs >= ours) -- the same: it may have been saved and renewed
  end
  return is_same_token(owed.read, info) or spent.has(state, info.refresh_token)
    or shared.replaces(owed, info)
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
local function owed_elsewhere(account, state, info, entry, is_locked)
  local owed = shared.get_debt(account)
  if not owed then
    return nil
  end
  owed.account = account
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
    owed.read, owed.entry = info, entry
    debt.owe(account, state, owed)
  else
    debt.watch(account)
  end
  return owed.info
end

--- What is owed, where the store cannot be read.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@return tokencache.TokenInfo?
function debt.unread(account, state)
  local owed = state.owed or shared.get_debt(account)
  return owed and owed.info
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
    return owed.info
  elseif owed and state.owed == owed then
    debt.clear(state)
    give_up(state, owed, info)
  end
  local theirs
  theirs, err = owed_elsewhere(account, state, info, entry, is_locked)
  if err ~= nil then
    return nil, errors.wrap("cache", err)
  end
  local successor = not theirs and info and spent.successor(state, info.refresh_token)
  if not successor then
    return theirs or info
  end
  debt.owe(account, state, { info = successor, read = info, entry = entry, renewed = info })
  return successor
end

local function write(owed, held)
  local flow, handler, info = owed.account.flow, owed.account.handler, owed.info
  local good_until = token_info.good_until(info, flow.refresh_token_lifetime)
  if handler.replace_cached_token and (owed.is_read or not owed.is_login) then
    return handler:replace_cached_token(owed.entry, info, good_until, held and held.handle)
  end
  local ok, err = handler:save_token_to_cache(info, good_until)
  if errors.has_failed(ok, err) then
    return nil, err or "save_token_to_cache returned false"
  end
  return true
end

local function note_failure(owed, err)
  if observer.on then
    observer.emit("owed", owed.account, { kind = "cache", count = owed.tries })
  end
  local pause = 2 ^ math.max(0, owed.tries - AT_ONCE)
  owed.next_at = owed.account.flow.io.monotonic() + math.min(pause, LONGEST_PAUSE)
  err = errors.wrap("cache", err)
  shared.warn_of_absence(owed)
  look_after_close(owed.account.process)
  log.repeated("error", "save: " .. tostring(err), "the token could not be saved; it is kept in "
    .. "memory and saved at the next call: ", err)
end

--- Looks whether the debt still counts beside what is there now.
---@return boolean?  true: it is owed no longer; false: that cannot be told; nil: it counts
local function look_again(state, owed)
  local info, err, entry = owed.account.handler:get_cached_token(true)
  if err == nil then
    local _
    _, err = debt.resolve(owed.account, state, info, entry)
  end
  if state.owed ~= owed then
    return true
  elseif err ~= nil then
    note_failure(owed, err)
    return false
  end
end

--- Whether a login has waited for its first save so long that others may have logged in or out.
local function is_late(owed)
  return owed.is_login and owed.tries == 1 and owed.account.flow.now() - owed.since > LATE
end

--- A login overwrites what is there, but no later word: so what is there is read, and that is what
--- is overwritten. Where it cannot be read, whatever there is gives way.
local function read_first(owed)
  local info, err, entry = owed.account.handler:get_cached_token(true)
  if err == nil then
    owed.read, owed.entry, owed.is_read = info, entry, true
  end
end

--- Tries to save what is owed, over the entry that was read and nothing else.
---@param state tokencache.AccountState
---@param owed tokencache.Debt
---@param held? tokencache.Lock
---@return boolean  it is owed no longer
function debt.attempt(state, owed, held)
  owed.tries = owed.tries + 1
  local began = observer.on and owed.account.flow.io.monotonic()
  if is_late(owed) then
    local outcome = look_again(state, owed)
    if outcome ~= nil then
      return outcome
    end
  end
  for _ = 1, LATECOMERS do
    local ok, err, is_out = nil, nil, nil
    if owed.is_login and not owed.is_read and owed.account.handler.replace_cached_token then
      read_first(owed)
    end
    if state.owed ~= owed then
      return true -- another coroutine was quicker
    end
    if owed.entry == nil and not owed.is_login and is_login(owed) then
      is_out, err = is_logged_out(owed)
    end
    if is_out then
      debt.clear(state)
      give_up(state, owed)
      return true
    elseif err == nil then
      ok, err = write(owed, held)
    end
    if ok then
      if observer.on then
        observer.emit("save", owed.account,
          { seconds = began and owed.account.flow.io.monotonic() - began })
      end
      if state.owed == owed then
        debt.clear(state)
      end
      return true
    elseif ok == nil or err ~= nil and err ~= "gone" then
      note_failure(owed, err)
      return false
    end
    local outcome = look_again(state, owed)
    if outcome ~= nil then
      return outcome
    end
  end
  note_failure(owed, "its entry keeps changing")
  return false
end

--- Takes over the lock that a debt keeps, if it keeps one and that is still held.
---@param state tokencache.AccountState
---@return tokencache.Lock?
function debt.take_lock(state)
  local owed = state.owed
  local held = owed and owed.lock
  if not held then
    return nil
  end
  owed.lock = nil -- before anything that yields
  if held:is_still_held() then
    return held
  end
  held:release()
end

--- Takes the lock of the debt for an attempt: that which it keeps, or a new one.
---@return tokencache.Lock?  nil: another holds it, or it fails
---@return boolean? lockless
local function borrow_lock(state)
  local account = state.owed.account
  if not account.handler.try_lock then
    return nil, true
  end
  local held = debt.take_lock(state)
  if held then
    return held
  end
  held = lock.new(account.handler, account.flow.io.monotonic)
  return held:try(LOCK_LIFE) and held or nil
end

--- Gives the lock back to the debt, or lets go of it where nothing is owed.
---@param state tokencache.AccountState
---@param held? tokencache.Lock
function debt.return_lock(state, held)
  local owed = state.owed
  if not held or not held.handle then
    return
  elseif owed and not owed.lock and is_login(owed) then
    held:prolong(not owed.account.flow.io.after and LONGEST_PAUSE or nil)
    owed.lock = held
  else
    held:release()
  end
end

--- Whether it is time for another attempt.
---@param owed tokencache.Debt
---@return boolean
function debt.is_due(owed)
  return owed.tries < AT_ONCE or owed.account.flow.io.monotonic() >= owed.next_at
end

--- Tries to save what is owed, if an attempt is due.
---@param account tokencache.Account
---@param state tokencache.AccountState
---@return table? read  { info, err, entry }: what the store holds, where it was looked into
function debt.settle(account, state)
  local owed = state.owed
  if not owed then
    return nil -- another coroutine was quicker
  elseif not debt.is_due(owed) then
    return nil
  end
  local held, lockless = borrow_lock(state)
  if not held and not lockless then
    return nil
  end
  local info, err, entry = owed.account.handler:get_cached_token(true)
  if err ~= nil then
    owed.tries = owed.tries + 1
    note_failure(owed, err)
  else
    local best
    best, err = debt.resolve(account, state, info, entry)
    if err ~= nil then
      owed.tries = owed.tries + 1
      note_failure(owed, err)
    elseif state.owed == owed and debt.attempt(state, owed, held) then
      info, entry = best, nil
    end
  end
  debt.return_lock(state, held)
  return { info = info, err = err, entry = entry }
end

--- Why the lock could not be had: who owes a token keeps it.
---@param account tokencache.Account
---@return tokencache.Error?  nil: nothing is known of a debt
function debt.explanation(account)
  if shared.get_debt(account) then
    return errors.new("cache", "another worker keeps the cache's lock, for it has a token that it "
      .. "could not save yet; mend the cache, and see the log for what is wrong with it")
  end
end

require("tokencache.account.debt_timers")(debt)

return debt
