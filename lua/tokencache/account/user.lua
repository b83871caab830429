--- Methods of accounts that belong to people, beside those that every account has.

local Account = require "tokencache.account"
local authorization = require "tokencache.authorization"
local driver = require "tokencache.driver"
local errors = require "tokencache.error"
local options = require "tokencache.util.options"
local token_info = require "tokencache.token_info"

---@class tokencache.UserAccount: tokencache.Account
local UserAccount = {}

--- The user's answer, checked to be the first one to this pending login.
---@param flow tokencache.UserFlow
---@return table? response
---@return tokencache.Error?
function UserAccount.read_response(flow, response_url, pending)
  local auth, err = authorization.from_pending(flow, pending)
  if not auth then
    return nil, err
  end
  local response
  response, err = authorization.read(flow, auth, response_url)
  if not response then
    return nil, err
  end
  if not authorization.finish(auth) then
    return nil, errors.new("state", "this login was finished before; start it again")
  end
  response.auth = auth
  return response
end

--- Gets the token for a login that took place. Where the server certainly has not seen its code,
--- the same answer may be brought again.
---@param response table
---@param timeout number
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function UserAccount:_redeem(response, timeout)
  local handler = self.handler
  local info, err, code_is_unused = nil, handler.refusal and handler:refusal(), true
  if not err then
    info, err, code_is_unused = driver.run(self, timeout, { response = response })
  end
  if code_is_unused and response.auth then
    authorization.reopen(response.auth)
  end
  return info, err
end

--- The second half of a login: checks the user's answer and gets the token.
---@param response_url string  the URL (or its query) that the browser was sent to
---@param pending string       from get_authorize_url
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function UserAccount:exchange(response_url, pending)
  local account = Account.called_on(self, "exchange")
  options.argument("exchange", "response_url", response_url, "string")
  options.argument("exchange", "pending", pending, "string")
  local response, err = UserAccount.read_response(account.flow, response_url, pending)
  if not response then
    return nil, err
  end
  return account:_redeem(response, account.flow.timeout)
end

--- Renews the token now, whatever time it has left, and saves it.
---@param refresh_token? string  default: the cached one; another than that is a login of its own,
---   whose token then replaces the cached one
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function UserAccount:refresh_access_token(refresh_token)
  local account = Account.called_on(self, "refresh_access_token")
  if refresh_token ~= nil then
    options.argument("refresh_access_token", "refresh_token", refresh_token, "string")
    if refresh_token == "" then
      error("refresh_access_token: refresh_token must not be empty; left out, it is the cached one",
        2)
    end
  end
  local info, err = driver.run(account, account.flow.timeout, {
    forced = true,
    given = refresh_token and { refresh_token = refresh_token },
    stays_out = true,
  })
  return info, err
end

--- The token_info if it serves this flow, renewed where it has expired: that login then replaces
--- the cached one. Where the cache holds a later token of the same login, that one counts: a
--- refresh token may work only once.
---@param info? tokencache.TokenInfo
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function UserAccount:validate_token(info)
  local account = Account.called_on(self, "validate_token")
  if type(info) ~= "table" then
    return nil
  end
  if Account.validate_token(account, info) then
    return info
  elseif not token_info.has_refresh_token(info)
    or account.flow.client:judge(account.now(), token_info.flat(info)) == "unfit" then
    return nil
  end
  local renewed, err = driver.run(account, account.flow.timeout, { given = info, stays_out = true })
  return renewed, err
end

--- Returns what the account holds, in whatever state.
---@param account tokencache.Account
---@return tokencache.TokenInfo?
---@return tokencache.Error?
local function kept(account)
  local known = account.process:known(account.id)
  if known and known.owed then
    return known.owed.info
  end
  return token_info.checked(account.handler:get_cached_token())
end

--- Seconds until the user must log in again, where the provider ends logins or refresh tokens after
--- a time. Renewals may put the end of a refresh token off, not that of a login.
---@return number?  nil: no such end is known; negative: over
---@return tokencache.Error?  the cache could not be read
function UserAccount:reauthorization_due_in()
  local account = Account.called_on(self, "reauthorization_due_in")
  local info, err = kept(account)
  local login_end = info and token_info.login_end(info, account.flow.refresh_token_lifetime)
  if not login_end then
    return nil, err
  end
  return login_end - account.now()
end

local openid -- loaded when first used

--- The claims of the ID token that came with the login or with its last renewal, checked when it
--- came (OpenID Connect Core §2): who the user is. They stay when the token has expired.
---@return { iss: string, sub: string, [string]: any }?  nil without an error: there is no login
---@return tokencache.Error?
function UserAccount:id_token_claims()
  local account = Account.called_on(self, "id_token_claims")
  openid = openid or require "tokencache.account.openid"
  local info, err = kept(account)
  if not info then
    return nil, err
  end
  return openid.claims(account.flow, info)
end

--- Asks the provider about the user (OpenID Connect Core §5.3), with the access token.
---@param opts? { timeout?: number }  seconds for the whole call
---@return { sub: string, [string]: any }?
---@return tokencache.Error?
function UserAccount:userinfo(opts)
  local account = Account.called_on(self, "userinfo")
  openid = openid or require "tokencache.account.openid"
  local checked = options.check("userinfo", opts, openid.userinfo_rules)
  return openid.userinfo(account, checked.timeout or account.flow.timeout)
end

--- The same as flow:get_end_session_url, with the account's ID token as id_token_hint. To be called
--- before log_out(), which forgets that.
---@param opts? tokencache.EndSessionOptions
---@return string? url
---@return tokencache.Error?
function UserAccount:end_session_url(opts)
  local account = Account.called_on(self, "end_session_url")
  openid = openid or require "tokencache.account.openid"
  local checked = options.check("end_session_url", opts, openid.end_session_rules)
  local info, err = kept(account)
  if err then
    return nil, err
  end
  checked.id_token_hint = checked.id_token_hint or info and info.id_token
  return openid.end_session_url(account.flow, checked)
end

return UserAccount
