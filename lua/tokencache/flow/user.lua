--- Flows in which a person logs in: authorization code, PKCE, implicit; and what the device flow
--- shares with them.

local UserAccount = require "tokencache.account.user"
local authorization = require "tokencache.authorization"
local config = require "tokencache.flow.config"
local core = require "tokencache._core"
local errors = require "tokencache.error"
local hidden = require "tokencache.util.hidden"
local log = require "tokencache.log"
local options = require "tokencache.util.options"
local redirect_uri = require "tokencache.flow.redirect_uri"

---@class tokencache.UserFlow: tokencache.Flow, tokencache.UserAccount
---@field redirect_uri string     the first, where there are several, as it is sent unless somebody
---                               listens: without a port 0
---@field redirects tokencache.RedirectUri[]
---@field any_port boolean        a login may be sent back to another one than `redirect_uri`
---@field response_mode? string  how the answer comes: "query", "fragment", "form_post"; default:
---                               as is usual for the response_type
---@field response_type "code"|"token"
---@field pkce boolean
---@field account fun(self, key: string|string[]|tokencache.Handler): tokencache.UserAccount
---@field get_access_token fun(self, opts?: tokencache.UserCallOptions): string?, tokencache.Error?
---@field get_token_info fun(self,
---   opts?: tokencache.UserCallOptions): tokencache.TokenInfo?, tokencache.Error?
local UserFlow = {}

---@class tokencache.UserCallOptions: tokencache.CallOptions
---@field response_url? string   where the browser was sent to after the last get_authorize_url();
---                              whoever logged in there counts, not who is in the cache
---@field code? string           the same, by the code in it alone

UserFlow.call_rules = options.merge(config.call_rules, {
  code = { "string" },
  response_url = { "string" },
})

local user = {}

---@class tokencache.LoginOptions: tokencache.FlowOptions
---@field authorize? false|fun(url: string, redirect_uri: string): string?, any  lets the user log
---                                in and returns the response URL, or nil and why not; false: the
---                                user is never asked. Of flow.device only false
---@field show? fun(prompt: tokencache.DevicePrompt): any, any  shows the code of a login by another
---                                device, and may return nil and why there is to be none; default:
---                                to stderr
---@field login_timeout? number    seconds to wait for the user; default: 300 for a browser, and for
---                                another device as long as its code is good
---@field authorize_params? table<string, string|string[]>  sent with each authorization request
---@field pending_key? string      16 bytes or more: seals what the first half of a login returns
---@field on_invalid_grant? "discard"|"keep"  what becomes of a dead token; default "discard"

--- Options of each flow of people's, beside the common ones.
user.login_rules = options.merge(config.rules, {
  authorize = { "boolean" },
  show = { "callable" },
  authorize_params = { "table" },
  pending_key = { "string" },
  login_timeout = { "number>0" },
  on_invalid_grant = { "string", default = "discard" },
})

---@class tokencache.UserFlowOptions: tokencache.LoginOptions
---@field redirect_uri? string|string[]  as registered; of several, all on this machine, the first
---                                whose port is free; default: the provider's environment variable
---@field login? string[]          ways to log in, in the order in which they are tried, of
---                                "browser", "device" and "paste"; this is the default
---@field open_browser? boolean    false: the same as login = { "paste" }
---@field max_age? number          OpenID Connect: seconds ago that the user may have logged in
---@field acr_values? string|string[]  OpenID Connect: how the user should log in; whether he did so
---                                is in the claim acr
---@field show_dialog? boolean     Spotify: ask for consent though it was given before
---@field state? string            default: random for each login, and that is best

user.rules = options.merge(user.login_rules, {
  redirect_uri = { { "string", "table" } },
  state = { "string" },
  show_dialog = { "boolean" },
  login = { "table", hint = 'give a list, such as { "browser" }' },
  open_browser = { "boolean" },
  authorize = { { "callable", "boolean" } },
  max_age = { "number>=0" },
  acr_values = { { "string", "table" } },
})

local BROWSER_TIMEOUT = 300 -- seconds

local function check_texts(checked)
  if checked.on_invalid_grant ~= "discard" and checked.on_invalid_grant ~= "keep" then
    return 'on_invalid_grant must be "discard" or "keep"'
  elseif checked.pending_key and #checked.pending_key < 16 then
    return "pending_key must have at least 16 bytes; make one with a random generator"
  elseif checked.state == "" then
    return "state must not be empty; left out, it is random for each login"
  elseif checked.authorize == true then
    return "authorize must be a function, or false for never"
  elseif checked.login and checked.open_browser ~= nil then
    return "give login or open_browser, not both"
  end
end

--- OpenID Connect's parameters of a login by redirect.
local function take_openid(self, checked)
  local values = checked.acr_values
  if type(values) == "table" and not options.is_list(values, "string") then
    return "acr_values must be a list of strings"
  end
  self.max_age = checked.max_age
  self.acr_values = type(values) == "table" and table.concat(values, " ") or values
  if (self.max_age or self.acr_values) and not self.openid then
    return "max_age and acr_values need the scope openid, and the provider's issuer"
  end
end

local WAYS = { "browser", "device", "paste" }
local IS_WAY = { browser = true, device = true, paste = true }

local function problem_of_ways(ways)
  for i = 1, math.max(#ways, 1) do
    if not IS_WAY[ways[i] or 0] then
      return 'login must be a list of "browser", "device" and "paste"'
    end
  end
end

--- What each flow of people's keeps beside what every flow does.
---@return string? problem
function user.complete_login(self, checked, server)
  local problem = check_texts(checked)
  if problem then
    return problem
  end
  local params = config.merged(checked.authorize_params, server.authorize_params)
  self.authorize_params, problem = config.params("authorize_params", params,
    authorization.reserved)
  self.device_params = config.params("authorize_params", checked.authorize_params,
    authorization.reserved) -- what the provider wants of browsers is not for devices
  self.response_mode = params and params.response_mode
  self.openid = self.issuer ~= nil -- else an ID token could not be checked
    and (" " .. self.client:scope() .. " "):find(" openid ", 1, true) ~= nil
  self.may_log_in = checked.authorize ~= false
  self.show = checked.show
  self.login_timeout = checked.login_timeout or BROWSER_TIMEOUT
  self.device_timeout = checked.login_timeout
  self.pending_key = hidden(checked.pending_key)
  self.refresh_token_lifetime = server.refresh_token_lifetime
  self.reuses = server.rotates_refresh_tokens == false
  self.spends = not self.reuses
  self.requires_pushed_authorization = server.require_pushed_authorization_requests
  return problem
end

--- The same of a flow with redirects.
---@param kind { pkce: boolean, response_type: "code"|"token" }
function user.complete(kind)
  return function(self, checked, server)
    local problem = user.complete_login(self, checked, server)
      or not (server.authorize_url or server.issuer)
      and "provider: authorize_url is required, or issuer to find it by"
      or checked.login and problem_of_ways(checked.login)
    if problem then
      return problem
    end
    self.ways = checked.login or checked.open_browser == false and { "paste" } or WAYS
    self.redirects, problem = redirect_uri.read(checked.redirect_uri,
      checked.authorize or self.ways[1] ~= "browser")
    if problem then
      return problem
    end
    self.any_port = self.redirects[1].any_port or #self.redirects > 1
    self.redirect_uri = redirect_uri.at(self.redirects[1])
    self.authorize = checked.authorize or nil
    self.response_type = kind.response_type
    self.pkce = kind.pkce or checked.pkce or false
    self.state = hidden(checked.state)
    self.show_dialog = checked.show_dialog
    self.has_chosen = checked.login ~= nil
    self.openid = self.openid and kind.response_type == "code"
    problem = take_openid(self, checked)
    if problem then
      return problem
    end
    self.iss_optional = server.authorization_response_iss_parameter_supported == false
    if server.authorization_response_iss_parameter_supported == nil and server.issuer
      and not server.authorize_url then
      self.iss_optional = nil -- the metadata tells
    end
    self.spends = self.spends and kind.response_type == "code"
    local warning = server.check_redirect_uri and server.check_redirect_uri(self.redirects[1].url)
    if warning then
      log.warning("redirect_uri: ", warning)
    end
  end
end

--- Blames the caller of the method.
local function check_self(where, self)
  local problem = config.misused(self)
  if problem then
    error(where .. ": " .. problem, 3)
  end
end

local login_rules = { state = { "string" } }

--- The first half of a login in a web application: where to send the user.
---@param opts? { state?: string }
---@return string? url
---@return string|tokencache.Error pending  to be kept where only this user's browser leads to it,
---                                        until the callback; without a url the error
function UserFlow:get_authorize_url(opts)
  check_self("get_authorize_url", self)
  local checked = options.check("get_authorize_url", opts, login_rules)
  if checked.state == "" then
    error("get_authorize_url: state must not be empty; left out, it is random", 2)
  end
  local auth, pending, err
  auth, err = authorization.new(self, self.redirect_uri, checked.state)
  if auth then
    pending, err = authorization.to_pending(self, auth)
  end
  if not pending then
    return nil, err
  end
  self.pending = hidden(pending)
  return auth.url, pending
end

local function take_code(self, code)
  local auth, err = { redirect_uri = self.redirect_uri }, nil
  if self.pkce or self.openid and self.pending then -- which has the verifier and the nonce
    auth, err = authorization.from_pending(self, self.pending())
  end
  if not auth then
    return nil, err
  end
  return authorization.complete(self, auth, { code = code })
end

--- The login that the options of get_access_token bring.
---@param opts tokencache.CallOptions
---@return table? response
---@return tokencache.Error?
---@return string? problem  with the options themselves
function UserFlow:_take_response(opts)
  if opts.code and opts.response_url then
    return nil, nil, "pass code or response_url, not both"
  elseif opts.code and self.response_type == "token" then
    return nil, nil, "this flow has no code; pass response_url"
  elseif not self.pending and (opts.response_url or self.pkce) then
    return nil, errors.new("state", "this flow has begun no login; call its get_authorize_url "
      .. "first, or pass what that returned elsewhere to exchange")
  elseif opts.code then
    return take_code(self, opts.code)
  end
  return UserAccount.read_response(self, opts.response_url, self.pending and self.pending())
end

local finish_login, openid -- loaded when first used

--- Whose login it is; nil: the key is a function, and the token tells. Blames the method's caller.
---@param method string
---@param self tokencache.UserFlow
---@return tokencache.Account?
function user.account_of_key(method, self, key)
  if not self.store then
    if key ~= nil then
      error(method .. ": this flow has one cache, and so one account; leave the key out", 3)
    end
    return self
  elseif key == nil then
    error(method .. ": key is required: this flow keeps many accounts (store=)", 3)
  end
  if type(key) == "function" then
    return nil
  end
  local account, problem = self:_find_account(key)
  return account or error(method .. ": " .. problem, 3)
end

--- The second half of a login: checks the user's answer and gets the token.
---@param response_url string  the URL (or its query) that the browser was sent to
---@param pending string       from get_authorize_url
---@param key? string|string[]|fun(info: tokencache.TokenInfo): string|string[]|nil, any  of a flow
---   with store=: whose login it is; a function is asked when the token has come, and returns nil
---   where nobody may have it: it is revoked then, where the provider can do that
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function UserFlow:exchange(response_url, pending, key)
  check_self("exchange", self)
  options.argument("exchange", "response_url", response_url, "string")
  options.argument("exchange", "pending", pending, "string")
  local account = user.account_of_key("exchange", self, key)
  if account then
    return UserAccount.exchange(account, response_url, pending)
  end
  local response, err = UserAccount.read_response(self, response_url, pending)
  if not response then
    return nil, err
  end
  finish_login = finish_login or require "tokencache.account.finish_login"
  return finish_login(self, response, key, "exchange")
end

--- What the address holds that the browser was sent to, unchecked: code=, state=, error= ...
---@param url string
---@return table?
---@return tokencache.Error?
function UserFlow:parse_auth_response_url(url)
  check_self("parse_auth_response_url", self)
  options.argument("parse_auth_response_url", "url", url, "string")
  return core.read_callback(url)
end

---@class tokencache.EndSessionOptions
---@field post_logout_redirect_uri? string  where the browser goes then; it must be registered
---@field state? string          comes back there
---@field id_token_hint? string  whose session it is; of an account, the kept ID token by default

--- Where to send the browser of a user who logs out of the provider too (OpenID Connect
--- RP-Initiated Logout 1.0 §2).
---@param opts? tokencache.EndSessionOptions
---@return string? url
---@return tokencache.Error?
function UserFlow:get_end_session_url(opts)
  check_self("get_end_session_url", self)
  openid = openid or require "tokencache.account.openid"
  local checked = options.check("get_end_session_url", opts, openid.end_session_rules)
  return openid.end_session_url(self, checked)
end

user.methods = UserFlow
user.account_methods = UserAccount

return user
