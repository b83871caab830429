--- Finishes a login whose user is not known yet. First comes the request for the token; then a
--- function of the program's tells, by that token, the key of the account; then the token is saved
--- there, under the lock.

local core = require "tokencache._core"
local debt = require "tokencache.account.debt"
local debt_timers = require "tokencache.account.debt_timers"
local detached = require "tokencache.account.detached"
local errors = require "tokencache.error"
local hold = require "tokencache.account.hold"
local keys = require "tokencache.key"
local log = require "tokencache.log"
local payment = require "tokencache.account.debt_payment"
local Account = require "tokencache.account"
local protected = require "tokencache.util.protected"
local revocation = require "tokencache.account.revocation"
local text_of_error = require "tokencache.util.text_of_error"
local token_info = require "tokencache.token_info"

--- Makes a handler that keeps nothing: at first the token belongs to no account.
local function nowhere()
  return {
    in_request = true,
    get_cached_token = function() end,
    save_token_to_cache = function() return true end,
  }
end

--- Its tokens as core.hide takes them. To be called before the program's function gets the info.
local function secrets_of(info)
  local secrets = {}
  for _, name in ipairs { "access_token", "refresh_token", "id_token" } do
    if type(info[name]) == "string" then
      secrets[#secrets + 1], secrets[#secrets + 2] = name, info[name]
    end
  end
  return core.form_encode(secrets)
end

---@param why string|tokencache.Error
---@param secrets string  what its text may not show
local function nobodys(flow, info, where, why, secrets)
  local err, is_revoked = revocation(flow, info, flow.timeout)
  return nil, errors.new(errors.wrap("config", why).kind, where .. ": "
    .. core.hide(tostring(why), secrets)
    .. "; the login was " .. (err and "not revoked: " .. tostring(err)
      or is_revoked and "revoked" or "given up"))
end

--- Why there is no key; an error that the function returned is one by itself.
local function lack(ok, key, why)
  if ok and getmetatable(why) == "tokencache.error" then
    return why
  end
  return "the key's function " .. (not ok and "raised: " .. text_of_error(key)
    or "returned no key" .. (why ~= nil and ": " .. tostring(why) or ""))
end

--- To lose the login is worse than to go on without the lock.
local function take_lock(account, state)
  local held, err = hold(account, state, account.flow.timeout)
  if not held and account.handler.try_lock then
    log.warning("the login is finished without the cache's lock: ", err or "another keeps it")
  end
  return held
end

local function keep(account, info)
  local state = account.process:state(account.id)
  local owed = debt.owe(account, state, { info = token_info.deep_copy(info), is_login = true })
  debt.note_mark(owed)
  local held = take_lock(account, state)
  if state.owed == owed then -- else another coroutine has saved it
    payment.attempt(state, owed, held)
  end
  payment.return_lock(state, held)
  debt_timers.keep(state)
  return owed.is_logged_out
end

---@param flow tokencache.UserFlow  with a store
---@param response table            of a login that has taken place
---@param key_of fun(info: tokencache.TokenInfo): any, any
---@param where string                of the method, for messages
---@return tokencache.TokenInfo?
---@return tokencache.Error?
return function(flow, response, key_of, where)
  local unknown = Account.new(flow, nowhere())
  local info, err = unknown:_redeem(response, flow.timeout)
  if not info then
    return nil, err
  end
  local secrets = secrets_of(info)
  local ok, key, why = protected(key_of, info) -- which may add to it
  local name, problem
  if ok and key then
    name, problem = keys.read(key)
  end
  if not name then
    return nobodys(flow, info, where, problem or lack(ok, key, why), secrets)
  end
  local account = flow:account(name)
  local _, is_logged_out = detached(account, flow.io.monotonic() + flow.timeout, keep, account,
    info)
  if is_logged_out then
    return nil, errors.new("reauthorize", "the user has logged out while the login was finished")
  end
  return info
end
