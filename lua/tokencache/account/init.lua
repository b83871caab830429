--- An account: one login of a flow, in one entry of a store or in one cache handler. The methods
--- here are those of an account, and of a flow with `cache =`, which has exactly one.

local config = require "tokencache.flow.config"
local observer = require "tokencache.observer"
local options = require "tokencache.util.options"
local token_info = require "tokencache.token_info"

---@class tokencache.Account
---@field flow tokencache.Flow
---@field handler table          the cache handler
---@field key? string            in the flow's store
---@field id string              the same for all objects that lead to the same entry
---@field process tokencache.Process
---@field only tokencache.Account  itself; a flow with `cache =` has the same field
---@field used boolean           see tokencache.util.ring
---@field asked boolean          by the program, since keep_fresh has renewed it
---@field package info? table    the token_info judged last, which nobody may change
---@field package from number    Unix seconds from which and
---@field package until_ number  up to which it serves
local Account = {}

local flat, type = token_info.flat, type
local driver, spent -- loaded when first used

local NO_OPTIONS = {}
local NOTHING = {} -- no handler returns it

--- The methods of a handler that return its token. The first gives the caller a table of its own.
--- The second, which not every handler has, may return a table that others hold too, and is for a
--- token_info that does not leave this module.
local GET, PEEK = "get_cached_token", "peek_cached_token"

---@param flow tokencache.Flow
---@param handler table
---@param key? string
---@return tokencache.Account
function Account.new(flow, handler, key)
  local self = { flow = flow, handler = handler, key = key, process = flow.process, now = flow.now,
    info = NOTHING, token = false, ends = false, from = 0, until_ = 0, used = false,
    asked = true }
  self.only = self
  self.id = flow.process:id_of(handler)
  return setmetatable(self, flow.account_metatable)
end

--- Returns the token_info that was judged last, or nil where its holder might change it.
---@return tokencache.TokenInfo?
function Account:judged()
  return self.info ~= NOTHING and self.info or nil
end

--- The flow makes another one when it is asked for.
function Account:leave()
  self.flow.accounts_by_key[self.key] = nil
end

--- The account that a method is called on, or what is wrong with the call.
---@return tokencache.Account?
---@return string? problem
local function account_of(self)
  local account = type(self) == "table" and self.only
  if account then
    return account
  elseif type(self) == "table" and self.store then
    return nil, "this flow keeps many accounts (store=); call it on flow:account(key)"
  end
  return nil, config.misused(nil)
end

Account.of = account_of

--- Returns the first and the last second in which the token serves, or nil if it never does. A
--- token_info that nobody may change is remembered with them.
local function judge(account, info, method)
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
  local from, until_ = account.flow.client:window(flat(info))
  if from and method == PEEK and account.handler[PEEK] then
    account.info, account.token, account.ends = info, info.access_token, info.expires_at
    account.from, account.until_ = from, until_
  end
  return from, until_
end

--- Looks into the cache. If the token is the one that is remembered, only the time is checked.
---@return boolean is_fit
---@return any info, any err, any entry  what the handler returned
local function look(account, method)
  local handler = account.handler
  local info, err, entry = (handler[method] or handler[GET])(handler)
  local from, until_ = account.from, account.until_
  if info ~= account.info or info.access_token ~= account.token
    or info.expires_at ~= account.ends then
    from, until_ = judge(account, info, method)
    if not from then
      return false, info, err, entry
    end
  end
  local now = account.now()
  return now >= from and now <= until_, info, err, entry
end

--- Reports whether the account has a token that is newer than the cache's.
local function owes(account)
  if account.process.owing == 0 then
    return false
  end
  local known = account.process:known(account.id)
  return known ~= nil and known.owed ~= nil
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
    { forced = opts.check_cache == false, refused = opts.refused }, first)
  return info, err
end

--- The third result is what is wrong with the call itself: the method raises it, and so blames the
--- right caller.
local function obtain(self, method, opts)
  local account, problem = account_of(self)
  if not account then
    return nil, nil, problem
  end
  local first, flow = nil, account.flow
  if opts == nil and not owes(account) then
    local is_fit, info, err, entry = look(account, method)
    if is_fit then
      if observer.on then
        observer.emit("hit", account, { left = token_info.left(info, account.now()) })
      end
      return info
    elseif type(info) == "table" and serves_here(account, info) then
      return info
    elseif not account.handler.may_be_stale then
      first = { info = info, err = err, entry = entry }
    end
  end
  opts = opts == nil and NO_OPTIONS or opts
  problem = options.problem(opts, flow.call_rules)
  if problem then
    return nil, nil, problem
  end
  local timeout = opts.timeout or flow.timeout
  if opts.code or opts.response_url then
    if self ~= flow then
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
    from, until_ = judge(account, info, GET)
  end
  local now = account.now()
  return from and now >= from and now <= until_ and info.access_token or nil, err
end

---@class tokencache.CallOptions
---@field check_cache? boolean   false: get a new token
---@field refused? string        the access token that the API has refused (401): another one is
---                              returned, renewed if need be, once for all who say so; or an error
---@field timeout? number        seconds for the whole call
---@field response_url? string   where the browser was sent to after the last get_authorize_url();
---                              whoever logged in there counts, not who is in the cache
---@field code? string           the same, by the code in it alone

--- An access token that is good for at least `leeway` seconds: from the cache, or newly got.
---
--- The one exception: when a new one cannot be had for a passing reason, a cached token that has
--- some seconds left is returned, and a warning logged.
---@param opts? tokencache.CallOptions
---@return string?  access_token
---@return tokencache.Error?
function Account:get_access_token(opts)
  local info, err, problem = obtain(self, PEEK, opts)
  if info then
    return info.access_token
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
  local account, problem = account_of(self)
  if not account then
    error("peek_access_token: " .. problem, 2)
  elseif owes(account) then
    return nil -- there is a newer one, which the next call has to save
  end
  local is_fit, info, err = look(account, PEEK)
  if is_fit then
    return info.access_token
  end
  return look_again(account, info, err)
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
  local account, problem = account_of(self)
  if not account then
    error("validate_token: " .. problem, 2)
  end
  if type(info) == "table" and account.flow.client:fits(account.now(), flat(info)) then
    return info
  end
end

local log_out -- loaded when first used

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
---@return tokencache.Error?
function Account:remove(opts)
  local ok, err = end_login(self, "remove", opts, false)
  return ok, err
end

--- Revokes the login at the provider, where that has a revocation_url (RFC 7009), the refresh token
--- first, then the access token; and removes it here.
---@param opts? { timeout?: number }  seconds for the whole call
---@return true?
---@return tokencache.Error?  beside true: it is removed here, but the provider could not be told
function Account:log_out(opts)
  local ok, err = end_login(self, "log_out", opts, true)
  return ok, err
end

return Account
