--- What all flows have in common. A flow is a client of a provider; the logins are its accounts:
--- many, where it has a store; where it has a cache, the flow is its one account itself.

local Account = require "tokencache.account"
local config = require "tokencache.flow.config"
local core = require "tokencache._core"
local default_io = require "tokencache.io"
local in_words = require "tokencache.util.in_words"
local memory_path = require "tokencache.flow.memory_path"
local options = require "tokencache.util.options"
local token_info = require "tokencache.token_info"

---@class tokencache.Flow: tokencache.Account
---@field name string          of the constructor
---@field client_id string
---@field client userdata      what the engine knows of it
---@field issuer? string        of the provider
---@field endpoints table<string, string>  what the program or a preset has said of the provider's,
---                              by the names of tokencache.Provider
---@field discovers? string     the endpoint that its client must be told, as it was not given
---@field grant_type string     RFC 8414's name of what the flow does
---@field auth_method? string   that was asked for
---@field default_auth_method string
---@field has_secret boolean
---@field document_key? fun(): string  seals what is kept of the provider's documents
---@field package metadata_source? tokencache.DocumentSource
---@field package keys_source? tokencache.DocumentSource
---@field package equipped_with? tokencache.Metadata  what the client was told
---@field cache? table         the cache handler of a flow with one account, for good
---@field store? tokencache.Store  of a flow with many
---@field process tokencache.Process
---@field accounts_by_key table<string, tokencache.Account>
---@field account_methods table
---@field account_metatable? table  of accounts beside the flow itself
---@field package is_kept_fresh? boolean
local Flow = {}

Flow.call_rules = config.call_rules

local about_token, discovery, from_store, keep_fresh, key_names, next_page -- loaded when first used

local base = {}

--- What is wrong with the `self` of a flow's method, if anything.
local function misused(self)
  return (type(self) ~= "table" or not self.client) and config.misused(nil) or nil
end

local function problem_of_handler(handler)
  if type(handler) ~= "table" and type(handler) ~= "userdata" then
    return "key must be a string that is not empty, a list of strings, or a cache handler"
  end
  return config.problem_of_cache("the cache handler", handler)
end

--- A list of strings is a key; what has methods is a handler.
local function is_handler(given)
  return type(given) == "userdata"
    or type(given) == "table" and (given.get_cached_token ~= nil or getmetatable(given) ~= nil)
end

---@return tokencache.Account?
---@return string? problem
local function account_at(self, key)
  if not self.store then
    return nil, "this flow has one cache, and so one account; give it store= instead of cache= for "
      .. "accounts by key"
  end
  key_names = key_names or require "tokencache.key"
  local name, problem = key_names.read(key)
  if not name then
    return nil, problem
  end
  local account = self.accounts_by_key[name]
  if not account then
    from_store = from_store or require "tokencache.cache.from_store"
    account = Account.new(self, from_store(self.store, name), name)
    self.accounts_by_key[name] = account
    self.process.accounts:add(account)
  end
  return account
end

--- The same as `account`, but what is wrong is returned.
---@return tokencache.Account?
---@return string? problem
function Flow:_find_account(key)
  if not is_handler(key) then
    return account_at(self, key)
  end
  local problem = problem_of_handler(key)
  if problem then
    return nil, problem
  end
  return Account.new(self, key)
end

--- The account at a key of the flow's store, or over a cache handler. Cheap: call it where the
--- account is needed.
---@param key string|string[]|table  a list is joined so that parts which users supply cannot
---   collide; a table with methods is a cache handler
---@return tokencache.Account
function Flow:account(key)
  local account = type(self) == "table" and self.accounts_by_key and self.accounts_by_key[key]
  if account then
    if not account.used then
      account.used = true
    end
    return account
  end
  local problem = misused(self)
  if not problem then
    account, problem = Flow._find_account(self, key)
  end
  return account or error("account: " .. problem, 2)
end

--- Iterates over the keys of the accounts that the store holds, each once. What goes wrong is
--- raised. A store may yield, which an iterator cannot do on Lua 5.1: take `store:keys` there. In
--- nginx others have their turn after each page.
---@param prefix? string  keys that begin so; default: all
---@return fun(): string?
function Flow:accounts(prefix)
  local problem = misused(self)
  if not problem and not self.store then
    problem = "this flow has one cache, and so one account"
  elseif not problem and not self.store.keys then
    problem = "the store cannot list its keys"
  elseif prefix ~= nil and type(prefix) ~= "string" then
    problem = "prefix must be a string, not " .. in_words(prefix)
  end
  if problem then
    error("accounts: " .. problem, 2)
  end
  next_page = next_page or require "tokencache.store.page"
  local page, cursor, i, seen = {}, nil, 0, {}
  local is_last = false
  return function()
    while i >= #page do
      if is_last then
        return nil
      end
      if cursor ~= nil and self.io.pause then
        self.io.pause() -- a long list is many pages
      end
      local more
      page, more = next_page(self.store, prefix or "", cursor, seen)
      if not page then
        error("accounts: " .. more, 2)
      end
      i, cursor, is_last = 0, more, more == nil
    end
    i = i + 1
    return page[i]
  end
end

--- Whether fewer than `leeway` seconds are left, or so many more than its expires_in that the clock
--- must have been put back. A token that states neither an end nor a lifetime does not expire; one
--- whose end cannot be read, or with a lifetime from nobody knows when, has.
---@param info tokencache.TokenInfo
---@return boolean
function Flow:is_token_expired(info)
  local problem = misused(self) or type(info) ~= "table"
    and "token_info must be a table, not " .. in_words(info)
  if problem then
    error("is_token_expired: " .. problem, 2)
  end
  return self.client:is_expired(self.now(), token_info.end_of(info), info.expires_in)
end

--- Renews the token ahead of time from now on, so that no request waits for that: in nginx, to be
--- called in init_worker_by_lua, or where the io table has `after`. Of several that share a cache,
--- the one that gets its lock renews.
---
--- Of a flow with store= these are the accounts that were asked for since their last renewal.
---@param opts? { margin?: number, jitter?: number, at_once?: integer }  seconds before a request
---   would renew it; default 60, at most half of the time that the token serves; how far those who
---   share it are spread, default 10; and how many accounts are renewed at a time, default 10
---@return true?
---@return tokencache.Error?  there is no timer to be had
function Flow:keep_fresh(opts)
  local problem = misused(self)
  if not problem then
    keep_fresh = keep_fresh or require "tokencache.flow.keep_fresh"
    local ok, err
    ok, err, problem = keep_fresh(self, opts)
    if not problem then
      return ok, err
    end
  end
  error("keep_fresh: " .. problem, 2)
end

--- Blames the caller of the method.
local function ask_about(self, method, token, opts)
  local problem, checked = misused(self), nil
  if not problem and (type(token) ~= "string" or token == "") then
    problem = "token must be a string that is not empty"
  end
  if not problem then
    about_token = about_token or require "tokencache.flow.about_token"
    checked, problem = options.read(opts, about_token.rules)
  end
  if problem then
    error(method .. ": " .. problem, 3)
  end
  return about_token[method](self, token, checked)
end

--- Asks the provider what it knows of a token (RFC 7662), whose it is, and how long it lasts.
---@param token string
---@param opts? tokencache.AboutTokenOptions
---@return { active: boolean, [string]: any }?  of a token that does not work, `active` is false
---@return tokencache.Error?
function Flow:introspect(token, opts)
  local object, err = ask_about(self, "introspect", token, opts)
  return object, err
end

--- Ends a token at the provider (RFC 7009); at most providers the end of a refresh token is that of
--- its access tokens. Nothing is removed here: account:log_out() does both.
---@param token string
---@param opts? tokencache.AboutTokenOptions
---@return true?
---@return tokencache.Error?
function Flow:revoke(token, opts)
  local ok, err = ask_about(self, "revoke", token, opts)
  return ok, err
end

--- Where an endpoint of the provider is.
---@param name string       its field in tokencache.Provider
---@param deadline? number  monotonic seconds; default: after the flow's timeout
---@return string?
---@return tokencache.Error?
function Flow:_endpoint(name, deadline)
  local url = self.endpoints[name]
  if url and not self.discovers then
    return url
  end
  discovery = discovery or require "tokencache.discovery"
  return discovery.endpoint(self, name, deadline)
end

--- What makes a flow different from the others.
---@class tokencache.FlowDefinition
---@field name string          as the engine knows it
---@field rules table          its options
---@field methods? table       of the flow beside the common ones
---@field account_methods? table  of its accounts beside the common ones
---@field auth_method string   the default of token_endpoint_auth_method
---@field grant_type? string   RFC 8414's name of what it does; default: its name
---@field needs_secret? boolean  also where the provider may tell how the client authenticates
---@field may_be_public? boolean  without a client_secret it is "none"
---@field required? string[]   options that must be given, or be in the environment
---@field about? fun(checked: table, params: string[]): string[]?, string?  what the grant is about
---                            beside its client, scope and token_params; nil: no more than its
---                            client and scope, or what is wrong
---@field complete? fun(self, checked: table, server: table): string?  adds its own fields, or
---                            returns what is wrong

--- Makes a flow its own account.
local function take_one(self)
  self.flow, self.handler, self.id = self, self.cache, self.process:id_of(self.cache)
  local box = self.now == default_io.now
    and core.memory_box(self.cache.front_in_memory or self.cache)
  if box then
    self.get_access_token = memory_path(self, box, Account.obtain_by_peek)
  end
end

--- Makes the constructor of a flow. It raises where an option is wrong and blames its caller.
---@param definition tokencache.FlowDefinition
---@return fun(given: table, where?: string, level?: integer): tokencache.Flow  who calls it for
---   others gives its own name, and the level to blame
function base.define(definition)
  local account_methods = options.merge(Account, definition.account_methods or {})
  local methods = options.merge(options.merge(account_methods, Flow), definition.methods or {})
  methods.account_methods = account_methods
  local metatable = {
    __index = methods,
    __name = "tokencache.flow",
    __tostring = function(self)
      return "tokencache.flow." .. definition.name .. ": " .. self.client_id
    end,
  }
  return function(given, where, level)
    local self, problem = config.read(definition, given)
    if not self then
      error((where or "flow." .. definition.name) .. ": " .. problem, level or 2)
    end
    self.name = definition.name
    setmetatable(self, metatable)
    if self.store then
      self.accounts_by_key = {}
    else
      take_one(self)
    end
    return self
  end
end

return base
