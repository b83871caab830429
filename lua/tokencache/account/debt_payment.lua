--- Pays debts: saves what is owed to the store, over what was read and nothing else. Who owes keeps
--- the lock, so that nobody else sends the refresh token that is spent.

local debt = require "tokencache.account.debt"
local errors = require "tokencache.error"
local lock = require "tokencache.lock"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local shared = require "tokencache.account.shared"
local token_info = require "tokencache.token_info"

local payment = {}

local AT_ONCE = 4        -- attempts that do not wait: the first, and the next three calls
local LONGEST_PAUSE = 60 -- seconds between two attempts; the first pause is one, then doubled
local LOCK_LIFE = 3      -- seconds for an attempt, where the lock cannot be extended
local LATECOMERS = 3     -- times that the entry may change under an attempt

local function note_failure(owed, err)
  if observer.on then
    observer.emit("owed", owed.account, { kind = "cache", count = owed.tries })
  end
  local pause = 2 ^ math.max(0, owed.tries - AT_ONCE)
  owed.next_at = owed.account.flow.io.monotonic() + math.min(pause, LONGEST_PAUSE)
  err = errors.wrap("cache", err)
  owed.problem = err
  shared.warn_of_absence(owed)
  log.repeated("error", errors.id("save", err), "the token could not be saved; it is kept in "
    .. "memory, and the save is tried again: ", err)
end

--- Reads what the token is to be saved over, and looks whether it still counts beside that.
---@param overwrites? boolean  it counts, whatever is there
---@param held? tokencache.Lock  what another worker owes in its place is taken over under it
---@return boolean? outcome  true: it is owed no longer; false: it cannot be told; nil: it counts
---@return table read         { info, err, entry }: what is there
local function look(state, owed, overwrites, held)
  local info, err, entry = owed.handler:get_cached_token(true)
  local read, _ = { info = info, err = err, entry = entry }, nil
  overwrites = overwrites and not shared.was_taken(owed)
  if err == nil and overwrites then
    owed.read, owed.entry = info, entry
  elseif err == nil then
    _, err = debt.resolve(owed.account, state, info, entry, held ~= nil)
  end
  if state.owed ~= owed then
    return true, read
  elseif err ~= nil and not overwrites then
    note_failure(owed, err)
    return false, read
  end
  return nil, read
end

local function write(owed, held, is_unread)
  local flow, handler, info = owed.account.flow, owed.handler, owed.info
  local good_until = token_info.good_until(info, flow.refresh_token_lifetime)
  if handler.replace_cached_token and not is_unread then
    return handler:replace_cached_token(owed.entry, info, good_until, held and held.handle)
  end
  local ok, err = handler:save_token_to_cache(info, good_until)
  if errors.has_failed(ok, err) then
    return nil, err or "save_token_to_cache returned false"
  end
  return true
end

local function note_save(state, owed, began)
  if observer.on then
    observer.emit("save", owed.account,
      { seconds = began and owed.account.flow.io.monotonic() - began })
  end
  if state.owed == owed then
    debt.clear(state)
  end
end

--- Whether nothing has to be read before the token is saved for the first time: that was read under
--- this lock, or the handler overwrites whatever is there. Where nothing was there, it is to be
--- found out whether that comes of a log out.
local function is_ready(owed, overwrites, is_read)
  local handler = owed.handler
  if overwrites then
    return not handler.replace_cached_token
  end
  return is_read and (owed.entry ~= nil or not handler.get_mark or not debt.can_be_lost(owed))
end

--- Tries to save what is owed.
---@param state tokencache.AccountState
---@param owed tokencache.Debt
---@param held? tokencache.Lock
---@param is_read? boolean  what it replaces was read under this lock
---@return boolean     it is owed no longer
---@return table? read { info, err, entry }: what is there, where that was looked up
function payment.attempt(state, owed, held, is_read)
  local overwrites = debt.is_new_login(owed)
  owed.tries, owed.is_being_saved = owed.tries + 1, false -- the last one may have raised
  if overwrites then
    shared.update_debt(owed) -- from now on it may be saved, and renewed
  end
  local began = observer.on and owed.account.flow.io.monotonic()
  local must_look, outcome, read = not is_ready(owed, overwrites, is_read), nil, nil
  for _ = 1, LATECOMERS do
    if must_look then
      outcome, read = look(state, owed, overwrites, held)
    end
    if outcome ~= nil then
      return outcome, read
    end
    owed.is_being_saved = true
    local ok, err = write(owed, held, read and read.err ~= nil)
    owed.is_being_saved = false
    if ok then
      note_save(state, owed, began)
      return true, { info = owed.info }
    elseif ok == nil or err ~= nil and err ~= "gone" then
      note_failure(owed, err == nil and "replace_cached_token returned nothing" or err)
      if overwrites then
        debt.note_mark(owed)
      end
      return false, read
    end
    must_look, overwrites = true, false
  end
  note_failure(owed, "its entry keeps changing")
  return false, read
end

--- Takes over the lock that a debt keeps, if it keeps one and that is still held.
---@param state tokencache.AccountState
---@return tokencache.Lock?
function payment.take_lock(state)
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
  local owed = state.owed
  if not owed.handler.try_lock then
    return nil, true
  end
  local held = payment.take_lock(state)
  if held then
    return held
  end
  held = lock.new(owed.handler, owed.account.flow.io.monotonic)
  return held:try(LOCK_LIFE) and held or nil
end

--- Gives the lock back to the debt, or lets go of it where nothing is owed.
---@param state tokencache.AccountState
---@param held? tokencache.Lock
function payment.return_lock(state, held)
  local owed = state.owed
  if not held or not held.handle then
    return
  elseif not owed or owed.lock or not debt.can_be_lost(owed) then
    return held:release()
  end
  held:keep(not owed.account.flow.io.after and LONGEST_PAUSE or nil)
  if state.owed == owed and not owed.lock then
    owed.lock = held
  else -- another coroutine has paid it meanwhile
    payment.return_lock(state, held)
  end
end

--- Whether it is time for another attempt.
---@param owed tokencache.Debt
---@return boolean
function payment.is_due(owed)
  return owed.tries < AT_ONCE or owed.account.flow.io.monotonic() >= owed.next_at
end

--- Tries to save what is owed, if an attempt is due.
---@param state tokencache.AccountState
---@return table? read  { info, err, entry }: what is there, where that was looked up
function payment.settle(state)
  local owed = state.owed
  if not owed or not payment.is_due(owed) then
    return nil
  end
  local _, read
  local held, lockless = borrow_lock(state)
  if state.owed == owed and (held or lockless) then -- else another coroutine was quicker
    _, read = payment.attempt(state, owed, held)
  end
  payment.return_lock(state, held)
  return read
end

return payment
