--- The device authorization grant (RFC 8628): for programs without a browser. The user enters a
--- code at the provider's page, on any device that has one.

local Account = require "tokencache.account"
local UserAccount = require "tokencache.account.user"
local authorization = require "tokencache.authorization"
local base = require "tokencache.flow.base"
local config = require "tokencache.flow.config"
local detached = require "tokencache.account.detached"
local device = require "tokencache.login.device"
local errors = require "tokencache.error"
local json = require "tokencache.json"
local lru = require "tokencache.util.lru"
local options = require "tokencache.util.options"
local user = require "tokencache.flow.user"

local MOST_REMEMBERED = 10000

---@type tokencache.Lru  by device_code: when this process may ask again
local logins = lru(MOST_REMEMBERED)

local function to_pending(flow, login)
  return authorization.seal(flow, json.encode {
    client_id = flow.client_id, issuer = flow.issuer, device_code = login.device_code,
    interval = login.interval, expires_at = login.expires_at,
  })
end

---@return tokencache.DeviceLogin?
---@return tokencache.Error?
local function from_pending(flow, pending)
  local text, err = authorization.unseal(flow, pending)
  if not text then
    return nil, err
  end
  local login = json.decode(text)
  if type(login) ~= "table" or type(login.device_code) ~= "string"
    or type(login.interval) ~= "number" or type(login.expires_at) ~= "number" then
    return nil, errors.new("state", "the pending login is malformed; keep what begin returned "
      .. "unchanged")
  elseif login.client_id ~= flow.client_id or login.issuer ~= flow.issuer then
    return nil, errors.new("state", "the pending login is that of another client_id or issuer")
  end
  local known = logins:get(login.device_code)
  if not known then
    known = login
    login.at, login.failures = flow.io.monotonic(), 0
    logins:set(login.device_code, login)
  end
  return known
end

--- What has come of the login.
---@return table? response
---@return tokencache.Error?
local function ask(flow, pending)
  local login, err = from_pending(flow, pending)
  if not login then
    return nil, err
  elseif login.is_over then
    return nil, errors.new("state", "this login was finished before; start it again")
  end
  local response
  response, err = device.ask(flow, login)
  login.is_over = response ~= nil
  return response, err
end

---@return tokencache.TokenInfo?
---@return tokencache.Error?
local function poll(account, pending)
  local info
  local response, err = ask(account.flow, pending)
  if response then
    info, err = account:_redeem(response, account.flow.timeout)
  end
  return info, err
end

---@class tokencache.DeviceAccount: tokencache.UserAccount
---@field exchange nil  there is `poll`
local DeviceAccount = options.merge(UserAccount, {})
DeviceAccount.exchange = nil

--- The second half of a login, to be called again and again.
---@param pending string  from begin
---@return tokencache.TokenInfo?
---@return tokencache.Error?  with `retry_after`: call again after so many seconds; else it is over
function DeviceAccount:poll(pending)
  local account = Account.called_on(self, "poll")
  options.argument("poll", "pending", pending, "string")
  local err = account.handler.refusal and account.handler:refusal()
  if err then
    return nil, err
  end
  -- the answer that brings the token comes once
  local io, timeout = account.flow.io, account.flow.timeout
  local finished, info
  finished, info, err = detached(account, io.monotonic() + timeout, poll, account, pending)
  if not finished then
    return nil, errors.new("timeout", "the deadline passed while the provider was asked, which "
      .. "goes on; look for the token in a moment", { retry_after = timeout })
  end
  return info, err
end

---@class tokencache.DeviceFlow: tokencache.Flow, tokencache.DeviceAccount
---@field account fun(self, key: string|string[]|tokencache.Handler): tokencache.DeviceAccount
local DeviceFlow = {}

local begin_rules = { timeout = { "number>0" } }

--- Blames the caller of the method.
local function check_self(method, self)
  local problem = config.misused(self)
  if problem then
    error(method .. ": " .. problem, 3)
  end
end

--- The first half of a login in a program that must not wait: what to show the user.
---@param opts? { timeout?: number }  seconds for the request
---@return tokencache.DevicePrompt?
---@return string|tokencache.Error pending  to be kept until the login is over, where only its user
---                                         leads to it; without a prompt the error
function DeviceFlow:begin(opts)
  check_self("begin", self)
  local checked = options.check("begin", opts, begin_rules)
  local prompt, login = device.begin(self, self.io.monotonic() + (checked.timeout or self.timeout))
  if not prompt then
    return nil, login
  end
  local pending, err = to_pending(self, login)
  return pending and prompt, pending or err
end

--- The second half, to be called again and again until it returns a token or an error without
--- `retry_after`. Within that time it does not ask the provider.
---@param pending string  from begin
---@param key? string|string[]|fun(info: tokencache.TokenInfo): string|string[]|nil, any  of a flow
---   with store=: whose login it is, as for the exchange of other flows
---@return tokencache.TokenInfo?
---@return tokencache.Error?  kind "transient" with `retry_after`: call again after so many seconds.
---   Its code is "authorization_pending" or "slow_down", or none where the provider is not reached
function DeviceFlow:poll(pending, key)
  check_self("poll", self)
  options.argument("poll", "pending", pending, "string")
  local account = user.account_of_key("poll", self, key)
  if account then
    return DeviceAccount.poll(account, pending)
  end
  local response, err = ask(self, pending)
  if not response then
    return nil, err
  end
  return require "tokencache.account.finish_login"(self, response, key, "poll")
end

return base.define {
  name = "device",
  rules = user.login_rules,
  methods = DeviceFlow,
  account_methods = DeviceAccount,
  auth_method = "client_secret_basic",
  grant_type = device.GRANT,
  may_be_public = true,
  complete = function(self, checked, server)
    self.ways = { "device" }
    return user.complete_login(self, checked, server)
      or not (server.device_authorization_url or server.issuer)
      and "provider: device_authorization_url is required, or issuer to find it by"
  end,
}
