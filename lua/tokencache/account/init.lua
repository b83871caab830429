--- An account: one login of a flow, in one entry of a store or in one cache handler. The methods
--- here are those of an account, and of a flow with `cache =`, which has exactly one.

local config = require "tokencache.flow.config"
local observer = require "tokencache.observer"
local options = require "tokencache.util.options"
local token_info = require "tokencache.token_info"

---@class tokencache.Account
---@field flow tokencache.Flow    itself, where a flow is its own account
---@field handler table           the cache handler
---@field key? string             in the flow's store
---@field id string               the same for all objects that lead to the same entry
---@field process tokencache.Process
---@field now fun(): number       the flow's clock
---@field used? boolean           by the program; false: not since the ring's hand came by (see
---                               tokencache.util.ring); nil: not since keep_fresh has renewed it
---@field store? tokencache.Store  the flow's
---@field seen? any               what the cache held when its token was judged last: bytes of the
---                               flow's store, or the table of another handler
---@field package token? string   the access token in it
---@field package from? number    Unix seconds from which and
---@field package until_? number  up to which it serves
local Account = {}

local flat, type = token_info.flat, type
local driver, spent -- loaded when first used

local NO_OPTIONS = {}

--- The ways to a token. The first gives the caller a table of its own. The second may take one that
--- others hold too and nobody may change: it does not leave this module.
local GET, PEEK = "get", "peek"

local function shown(self)
  return "tokencache.account: " .. (self.key and require("tokencache.key").shown(self.key)
    or tostring(self.handler))
end

--- What is the same for all accounts of a flow stands in their metatable. Programs have many
--- accounts, and ask them in turn: the smaller one is, the more of them are in the processor's
--- caches.
local function metatable_of(flow)
  local common = { flow = flow, store = flow.store, process = flow.process, now = flow.now }
  return {
    __index = options.merge(flow.account_methods, common),
    __name = "tokencache.account",
    __tostring = shown,
  }
end

---@param flow tokencache.Flow
---@param handler table
---@param key? string
---@return tokencache.Account
function Account.new(flow, handler, key)
  flow.account_metatable = flow.account_metatable or metatable_of(flow)
  return setmetatable({
    handler = handler, key = key, id = flow.process:id_of(handler), used = false,
    seen = nil, token = nil, from = nil, until_ = nil, -- room for what will be judged
  }, flow.account_metatable)
end

--- Returns the token_info that was judged last, where that is remembered.
---@return tokencache.TokenInfo?
function Account:judged()
  local seen = self.seen
  if type(seen) == "string" then
    return (self.handler:decode(seen)) -- it remembers it too
  end
  return seen
end

--- The flow makes another one when it is asked for.
function Account:leave()
  self.flow.accounts_by_key[self.key] = nil
end

--- The account that a method is called on, or what is wrong with the call.
---@return tokencache.Account?
---@return string? problem
local function account_of(self)
  if type(self) ~= "table" then
    return nil, config.misused(nil)
  elseif self.handler then
    return self
  end
  return nil, self.store and "this flow keeps many accounts (store=); call it on flow:account(key)"
    or config.misused(nil)
end

--- The same; raises, and blames the caller of the method.
---@param method string
---@return tokencache.Account
function Account.called_on(self, method)
  local account, problem = account_of(self)
  if not account then
    error(method .. ": " .. problem, 3)
  end
  return account
end

--- Returns the first and the last second in which the token serves, or nil if it never does.
local function judge(account, info)
  if type(info) ~= "table" then
    return nil
  end
  local known = account.process:known(account.id)
  if known then
    spent = spent or require "tokencache.account.spent"
    if spent.has(known, info.refresh_token) then
      return nil
    end
  end
  return account.flow.client:window(flat(info))
end

--- Reports whether the present second is one of those; nil for both: there is none.
local function is_between(account, from, until_)
  local now = account.now()
  return from ~= nil and now >= from and now <= until_
end

--- Reads what the cache holds. Bytes of the flow's store that were judged before are not decoded.
---@return boolean is_judged
---@return any info, any err, any entry  as from the handler; no info where such bytes are the entry
local function read(account, method)
  local handler, key = account.handler, account.key
  if method == GET then
    return false, handler:get_cached_token()
  elseif not key then
    local info, err, entry = (handler.peek_cached_token or handler.get_cached_token)(handler)
    return info ~= nil and info == account.seen, info, err, entry
  end
  local bytes, err = account.store:get(key)
  if bytes ~= nil and bytes == account.seen then
    return true, nil, nil, bytes
  end
  return false, handler:decode(bytes, err)
end

--- Looks into the cache. If the token is the one that is remembered, only the time is checked.
---@return string? token  if it serves
---@return any info, any err, any entry  as from `read`; there is an info if no token serves
local function look(account, method)
  local is_judged, info, err, entry = read(account, method)
  local token, from, until_ = account.token, account.from, account.until_
  if not is_judged then
    from, until_ = judge(account, info)
    if not from then
      return nil, info, err, entry
    end
    token = info.access_token
    local handler = account.handler
    if method == PEEK and handler.peek_cached_token then
      account.seen, account.token = account.key and entry or info, token
      account.from, account.until_ = from, until_
    end
  end
  if is_between(account, from, until_) then
    return token, info
  end
  return nil, info or account:judged(), err, entry
end

--- Returns the token that is newer than the cache's, if the account has one.
---@return tokencache.Debt?
local function owes(account)
  if account.process.owing == 0 then
    return nil
  end
  local known = account.process:known(account.id)
  return known and known.owed
end

--- Reports whether a token that is about to expire must do, since one cannot wait for a renewal
--- here: that is so in some phases of nginx.
local function serves_here(account, info)
  local io = account.flow.io
  return io.refusal and io.refusal() and account.flow.client:works(account.now(), flat(info))
end

--- Gets a token by a run of the engine, as the cache holds none that serves or was not asked.
local function run(account, opts, timeout, first)
  if observer.on then
    observer.emit(opts.refused and "refused" or "miss", account)
  end
  driver = driver or require "tokencache.driver"
  local info, err = driver.run(account, timeout,
    { forced = opts.check_cache == false, refused = opts.refused, login = opts.login }, first)
  return info, err
end

--- The third result is what is wrong with the call itself: the method raises it, and so blames the
--- right caller. The fourth, where the cache had it, is the access token; PEEK may then return no
--- token_info.
local function obtain(self, method, opts)
  local account, problem = account_of(self)
  if not account then
    return nil, nil, problem
  end
  local first
  if opts == nil and not owes(account) then
    local token, info, err, entry = look(account, method)
    if token then
      if observer.on then
        info = info or account:judged()
        observer.emit("hit", account, { left = token_info.left(info, account.now()) })
      end
      return info, nil, nil, token
    elseif type(info) == "table" and serves_here(account, info) then
      return info
    elseif not account.handler.may_be_stale then
      first = { info = info, err = err, entry = entry }
    end
  end
  local flow = account.flow
  opts = opts == nil and NO_OPTIONS or opts
  problem = options.problem(opts, flow.call_rules)
  if not problem and opts.login then
    problem = flow.may_log_in == nil and "no user logs in to this flow; leave login out"
      or (opts.code or opts.response_url) and "pass login or the answer to one, not both"
  end
  if problem then
    return nil, nil, problem
  end
  local timeout = opts.timeout or flow.timeout
  if opts.code or opts.response_url then
    if account ~= flow then
      return nil, nil, "code and response_url are for a flow with cache=; call exchange"
    end
    local response, err
    response, err, problem = flow:_take_response(opts)
    if not response then
      return nil, err, problem
    end
    return account:_redeem(response, timeout)
  end
  return run(account, opts, timeout, first)
end

--- After a look that did not find a token that serves: it may have found an old copy.
local function look_again(account, info, err)
  if info ~= nil and account.handler.may_be_stale then
    info, err = account.handler:get_cached_token(true)
  end
  info, err = token_info.checked(info, err)
  local from, until_ = nil, nil
  if info then
    from, until_ = judge(account, info)
  end
  return is_between(account, from, until_) and info.access_token or nil, err
end

---@class tokencache.CallOptions
---@field check_cache? boolean   false: get a new token
---@field refused? string        the access token that the API has refused (401): another one is
---                              returned, renewed if need be, once for all who say so; or an error
---@field login? boolean         true: the user is asked to log in, whatever the cache holds
---@field timeout? number        seconds for the whole call

--- An access token that is good for at least `leeway` seconds: from the cache, or newly got.
---
--- The one exception: when a new one cannot be had for a passing reason, a cached token that has
--- some seconds left is returned, and a warning logged.
---@param opts? tokencache.CallOptions
---@return string?  access_token
---@return tokencache.Error?
function Account:get_access_token(opts)
  local info, err, problem, token = obtain(self, PEEK, opts)
  if token or info then
    return token or info.access_token
  elseif problem then
    error("get_access_token: " .. problem, 2)
  end
  return nil, err
end

--- For flow/memory_path.lua, where it finds no token that serves.
function Account.obtain_by_peek(self, opts)
  return obtain(self, PEEK, opts)
end

--- Returns the cached token while it is fresh, as get_access_token() would. Else it returns nil and
--- does nothing about it: neither the provider nor the user is asked.
---@return string?  access_token
---@return tokencache.Error?  the cache could not be read
function Account:peek_access_token()
  local account = Account.called_on(self, "peek_access_token")
  if owes(account) then
    return nil -- there is a newer one, which the next call has to save
  end
  local token, info, err = look(account, PEEK)
  if token then
    return token
  end
  return look_again(account, info, err)
end

--- Returns what the cache holds while its token works, also when a call would renew it first.
--- Neither the provider nor the user is asked. For the gateway of nginx, which renews beside its
--- requests.
---@return tokencache.TokenInfo?  a table that others hold too and nobody may change
---@return boolean|tokencache.Error|nil  true: it is due to be renewed
function Account:peek_lasting()
  local owed = owes(self)
  local token, info, err = nil, owed and owed.info, nil
  if not owed then
    token, info, err = look(self, PEEK)
  end
  if token then
    return info or self:judged(), false
  elseif type(info) == "table" and judge(self, info)
    and self.flow.client:works(self.now(), flat(info)) then
    return info, true
  end
  return nil, err
end

--- The same as get_access_token(), with everything known about the token.
---@param opts? tokencache.CallOptions
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function Account:get_token_info(opts)
  local info, err, problem = obtain(self, GET, opts)
  if problem then
    error("get_token_info: " .. problem, 2)
  end
  return info, err
end

--- The token_info itself if it serves this flow: of this client, with the scopes wanted, fresh.
---@param info? tokencache.TokenInfo
---@return tokencache.TokenInfo?
function Account:validate_token(info)
  local account = Account.called_on(self, "validate_token")
  if type(info) == "table" and is_between(account, account.flow.client:window(flat(info))) then
    return info
  end
end

local PROOF_RULES = { nonce = { "string" } }

local dpop, log_out -- loaded when first used

--- Proves for one request to the API that its sender holds the key to which the token is bound
--- (RFC 9449); to be sent as the header DPoP, beside `Authorization: DPoP <access_token>`.
---@param method string  of the request
---@param url string
---@param opts? { nonce?: string }  the header DPoP-Nonce of the API's last answer, which is kept
---@return string?
---@return string|tokencache.Error access_token  the one that it is for
function Account:dpop_proof(method, url, opts)
  local account = Account.called_on(self, "dpop_proof")
  local checked, problem = options.read(opts, PROOF_RULES)
  problem = problem or not account.flow.dpop
    and "this flow binds no tokens to a key; give it dpop = true"
    or (type(method) ~= "string" or type(url) ~= "string") and "method and url must be strings"
    or not url:find "^[Hh][Tt][Tt][Pp][Ss]?://[^/]"
    and "url must be that of the request, with its scheme and host"
  if problem then
    error("dpop_proof: " .. problem, 2)
  end
  local info, err, _, token = obtain(account, PEEK)
  info = info or token and account:judged()
  if not info then
    return nil, err
  end
  dpop = dpop or require "tokencache.dpop"
  dpop.note(account.flow, url, checked.nonce)
  local proof
  proof, err = dpop.proof(account.flow, info.dpop_key, method, url, info.access_token)
  return proof, proof and info.access_token or err
end

--- Blames the caller of the method.
local function end_login(self, method, opts, revokes)
  local account, problem = account_of(self)
  local ok, err
  if account then
    log_out = log_out or require "tokencache.account.log_out"
    ok, err, problem = log_out(account, opts, revokes)
  end
  if problem then
    error(method .. ": " .. problem, 3)
  end
  return ok, err
end

--- Forgets the login here, under its lock: in the cache, and what this process has of it. What
--- another process owes the store is dropped when it comes.
---@param opts? { timeout?: number }  seconds for the whole call
---@return true?
---@return tokencache.Error?  beside true: it is removed here, but others could not be told
function Account:remove(opts)
  local ok, err = end_login(self, "remove", opts, false)
  return ok, err
end

--- Removes the login here; then revokes it at the provider, where that has a revocation_url
--- (RFC 7009), the refresh token first, then the access token.
---@param opts? { timeout?: number }  seconds for the whole call
---@return true?
---@return tokencache.Error?  beside true: it is removed here, but the provider could not be told,
---                          or processes that still owe a token of it
function Account:log_out(opts)
  local ok, err = end_login(self, "log_out", opts, true)
  return ok, err
end

return Account
