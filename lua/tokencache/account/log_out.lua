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

local RULES = { timeout = { "number>0" } }

local function leave_mark(account)
  local handler = account.handler
  if not handler.set_mark then
    return
  end
  local ok, err = handler:set_mark(("out %.3f"):format(account.flow.now()), MARK_LIFE)
  if errors.has_failed(ok, err) then
    log.warning("the log out could not be noted: ", errors.wrap("cache", err or "it failed"))
  end
end

--- Returns what the account holds last, as far as that can be told. A token that is owed is newer
--- than the entry, unless somebody else has written that since.
local function token_of(account, state)
  local info, err, entry = account.handler:get_cached_token(true)
  info, err = token_info.checked(info, err)
  if err == nil then
    info, err = debt.resolve(account, state, info, entry)
  end
  return info or debt.unread(account, state) or state.latest, err
end

local function carry_out(account, deadline, revokes)
  local monotonic = account.flow.io.monotonic
  local state = account.process:state(account.id)
  local held, failure = hold(account, state, deadline - monotonic())
  if failure then
    log.warning("the cache's lock failed, going on without it: ", failure)
  end
  local info, refused
  if revokes then
    info, refused = token_of(account, state)
    if info then
      refused = revocation(account.flow, info, deadline - monotonic(), held)
    end
  end
  local owed = state.owed
  leave_mark(account)
  local ok, err = account.handler:remove_cached_token()
  local has_failed = errors.has_failed(ok, err)
  if not has_failed then -- else the login is still there, and what is owed belongs to it
    if state.owed == owed then -- else somebody has logged in meanwhile
      debt.clear(state)
      shared.drop_debt(state.id)
    end
    spent.forget(state)
  end
  payment.return_lock(state, held)
  debt_timers.keep(state)
  if has_failed then
    return nil, errors.wrap("cache", err or "remove_cached_token returned false")
  elseif observer.on then
    observer.emit("log_out", account)
  end
  return true, refused
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
    return nil, nil, "the cache handler has no remove_cached_token"
  end
  local deadline = account.flow.io.monotonic() + (checked.timeout or account.flow.timeout)
  local finished, ok, err = detached(account, deadline, carry_out, account, deadline, revokes)
  if not finished then
    return nil, errors.new("timeout", "the deadline passed while the login was being removed, "
      .. "which goes on")
  end
  return ok, err
end
