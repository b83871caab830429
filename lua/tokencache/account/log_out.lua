--- Ends a login: here, and at the provider where that can be done (RFC 7009). Logged out stays
--- logged out: a mark is left beside the entry, for what other processes still owe the store.

local debt = require "tokencache.account.debt"
local debt_timers = require "tokencache.account.debt_timers"
local detached = require "tokencache.account.detached"
local errors = require "tokencache.error"
local hold = require "tokencache.account.hold"
local log = require "tokencache.log"
local observer = require "tokencache.observer"
local options = require "tokencache.util.options"
local payment = require "tokencache.account.debt_payment"
local revocation = require "tokencache.account.revocation"
local shared = require "tokencache.account.shared"
local spent = require "tokencache.account.spent"
local token_info = require "tokencache.token_info"

local MARK_LIFE = 86400 -- seconds
local LATECOMERS = 3    -- times that the entry may change while it is removed

local RULES = { timeout = { "number>0" } }

--- Where that fails, the next log out tries again, though it may find no login any more.
---@return tokencache.Error? err  it failed
local function leave_mark(account, state)
  local handler = account.handler
  if not handler.set_mark then
    return
  end
  local ok, err = handler:set_mark(("out %.6f"):format(account.flow.now()), MARK_LIFE)
  state.unmarked = errors.has_failed(ok, err) or nil
  if state.unmarked then
    return errors.new("cache", "the login is removed, but that could not be noted for processes "
      .. "which still owe the cache a token of it; log out again: "
      .. tostring(errors.wrap("cache", err or "set_mark returned false")))
  end
end

--- Returns what the account holds last, as far as that can be told. A token that is owed is newer
--- than the entry, unless somebody else has written that since.
---@return tokencache.TokenInfo?
---@return any err    the store could not be read
---@return any entry  what is there, as the handler compares it
---@return tokencache.TokenInfo? there  what that says
---@return boolean is_found  something was read, be it damaged
local function token_of(account, state)
  local read, err, entry = account.handler:get_cached_token(true)
  local is_found = entry ~= nil or read ~= nil and err == nil
  local there, info
  there, err = token_info.checked(read, err)
  if err == nil then
    info, err = debt.resolve(account, state, there, entry)
  end
  return info or debt.unread(account, state) or state.latest, err, entry, there, is_found
end

---@class tokencache.LogOut
---@field account tokencache.Account
---@field state tokencache.AccountState
---@field deadline number   monotonic seconds: until when its caller waits
---@field began number      Unix seconds
---@field before? tokencache.TokenInfo  what was there when it began
---@field unread any        why that cannot be told; nil: it can
---@field revokes boolean
---@field ended? tokencache.TokenInfo  what was removed
---@field is_left? boolean  its caller has been told that its time is over

--- Whether somebody has logged in since the log out began, which may be long ago: it goes on when
--- its caller's time is over. A login that was owed to the store by then is none. Clocks of
--- machines differ, so times are compared only for another login than the one that was there; one
--- of the same second may be either, for logins are noted in whole seconds.
---@param out tokencache.LogOut
---@param info? tokencache.TokenInfo
local function is_later(out, info)
  local authorized_at, before = info and info.authorized_at, out.before or {}
  local is_overdue = out.account.flow.io.monotonic() >= out.deadline
  local since = is_overdue and math.floor(out.began) or out.began
  if authorized_at == nil or authorized_at == before.authorized_at
    and (authorized_at ~= since or info.access_token == before.access_token) then
    return false
  end
  return (tonumber(authorized_at) or 0) >= since
end

--- Whether a read of the handler tells that nothing is there, also nowhere in front of that.
local function has_entries(handler)
  return handler.account_id and handler.replace_cached_token and not handler.may_be_stale
end

--- Removes what was read, as long as that is not a later login's, and notes it. A damaged entry is
--- removed too. Where nothing was read, nobody knows what is there.
---@param out tokencache.LogOut
---@param again? boolean     it was removed a moment ago
---@return boolean? removed  nil: it failed; false: a later login is there
---@return any err
local function remove(out, again)
  local handler = out.account.handler
  for i = 1, LATECOMERS do
    local info, err, entry, there, is_found = token_of(out.account, out.state)
    if is_later(out, info) then
      if there and out.ended and there.access_token == out.ended.access_token then
        out.ended = nil -- it has been saved again
      end
      return false
    elseif i == 1 and not again or entry ~= nil then
      out.ended = info
    end
    if err ~= nil and (not is_found or out.account.flow.io.monotonic() > out.deadline) then
      return nil, err
    elseif entry == nil and err == nil
      and (again or i > 1 or has_entries(handler) or out.is_left and not there) then
      return true -- nothing is there; and what comes after the caller's end is a later login
    end
    local ok
    ok, err = handler:remove_cached_token(entry)
    if errors.has_failed(ok, err) then
      return nil, err or "remove_cached_token returned false"
    elseif entry == nil then
      return true
    end
  end
  return nil, "its entry keeps changing"
end

--- Ends the login here.
---@param out tokencache.LogOut
---@param held? tokencache.Lock
---@return boolean? removed  as for remove
---@return any err  beside true: who owes a token could not be told
local function end_here(out, held)
  local account, state = out.account, out.state
  local owed, unmarked = state.owed, nil
  if out.before or out.unread or state.unmarked or not held then
    unmarked = leave_mark(account, state)
  end -- else nobody owes a token: who does keeps the lock
  local removed, err = remove(out)
  if removed and not held and account.handler.set_mark then -- who read it amid that does not count
    unmarked = leave_mark(account, state)
    removed, err = remove(out, true)
  end
  if not removed then -- what is owed belongs to the login that is still there
    return removed, err
  elseif state.owed == owed then -- else somebody has logged in meanwhile
    debt.clear(state)
    shared.drop_debt(state.id)
  end
  spent.forget(state)
  return true, unmarked
end

--- Ends at the provider what is removed here. In this order a login that cannot be removed still
--- works, and nobody is served a token that is revoked.
---@param out tokencache.LogOut
---@param unmarked? tokencache.Error
---@return tokencache.Error?
local function end_there(out, unmarked)
  local flow = out.account.flow
  local left = out.deadline - flow.io.monotonic()
  local refused = revocation(flow, out.ended, out.is_left and flow.request_time or left)
  if refused and unmarked then
    return errors.new("cache", unmarked.message .. "; nor could it be revoked: "
      .. tostring(refused))
  end
  return unmarked or refused
end

--- Why the login could not be removed.
local function failure_of(out, err)
  err = errors.wrap("cache", err)
  if out.revokes then
    return errors.new(err.kind, "the login could not be removed, so it was not revoked either: "
      .. tostring(err), { code = err.code })
  end
  return err
end

---@param out tokencache.LogOut
local function carry_out(out)
  local account, state = out.account, out.state
  debt.adopt(account, state)
  out.before, out.unread = token_of(account, state)
  if out.is_left then
    out.before, out.unread = nil, "the read took too long" -- it may have found a login since
  end
  local held, failure = hold(account, state, out.deadline - account.flow.io.monotonic())
  if failure then
    log.warning("the cache's lock failed, going on without it: ", failure)
  end
  local removed, err = end_here(out, held)
  payment.return_lock(state, held)
  debt_timers.keep(state)
  if removed == nil then
    if out.ended then -- it may be gone all the same: the next log out knows of it
      state.latest, state.latest_since = out.ended, nil
    end
    return nil, failure_of(out, err)
  elseif out.revokes and out.ended then
    err = end_there(out, err)
  end
  if err and out.is_left then
    log.warning("the login is removed, but: ", err)
  end
  if removed and observer.on then
    observer.emit("log_out", account)
  end
  return true, err
end

---@param account tokencache.Account
---@param opts? { timeout?: number }
---@param revokes boolean
---@return true?
---@return tokencache.Error?
---@return string? problem  with the call
return function(account, opts, revokes)
  local checked, problem = options.read(opts, RULES)
  if not checked then
    return nil, nil, problem
  elseif account.handler.remove_cached_token == nil then
    return nil, nil, account.key and "the store has no method delete"
      or "the cache handler has no remove_cached_token; one of from_store needs its store's delete"
  end
  local flow, state = account.flow, account.process:state(account.id)
  local deadline = flow.io.monotonic() + (checked.timeout or flow.timeout)
  local out = { account = account, state = state, deadline = deadline, revokes = revokes,
    began = flow.now() }
  local finished, ok, err = detached(account, deadline, carry_out, out)
  if not finished then
    out.is_left = true
    return nil, errors.new("timeout", "the deadline passed while the login was being removed, "
      .. "which goes on")
  end
  return ok, err
end
