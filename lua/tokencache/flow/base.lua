--- What all flows have in common: the way to a token.

local config = require "tokencache.flow.config"
local core = require "tokencache._core"
local default_io = require "tokencache.io"
local memory_path = require "tokencache.flow.memory_path"
local options = require "tokencache.options"
local token_info = require "tokencache.token_info"

---@class tokencache.Flow
---@field cache table          the cache handler, for good
---@field package idle_run? tokencache.Run
---@field package in_memory boolean  the engine itself looks into the cache
---@field package is_kept_fresh? boolean
---@field package judged { info: table, token?: string, ends?: number, most?: number }
---@field package turn? fun(): any  see tokencache.Io; nil: tokens are judged by another clock
---@field package unsaved tokencache.TokenInfo|false  its save failed; tried again at the next call
local Flow = {
  judged = { info = {} }, -- none that a cache could return
}

Flow.call_rules = config.call_rules

local flat, misused, type = token_info.flat, config.misused, type
local driver, keep_fresh -- loaded when first used

local base = {}

local NO_OPTIONS, FORCED = {}, { forced = true }

--- A handler's methods for a look into it: one gives the caller a table of its own; the other need
--- not, where the handler has it, and is for a token_info that goes no further.
local GET, PEEK = "get_cached_token", "peek_cached_token"

--- Whether this is a token, and serves for longer than the leeway. One that nobody may change is
--- remembered.
local function fits(self, info, method)
  if type(info) ~= "table" or not self.client:fits(self.now(), flat(info)) then
    return false
  end
  local ends = info.expires_at
  if method == PEEK and self.cache[PEEK] and type(ends) == "number" and ends % 1 == 0 then
    self.judged = { info = info, token = info.access_token, ends = ends,
      most = token_info.longest_left(info) }
  end
  return true
end

--- Whether what the cache holds fits, and what that is, or an error. Of a token that is remembered
--- all but its end has been checked.
local function look(self, method)
  local cache, judged = self.cache, self.judged
  local info, err = (cache[method] or cache[GET])(cache)
  if info == judged.info and info.access_token == judged.token
    and info.expires_at == judged.ends then
    local left = judged.ends - self.now()
    return left >= self.leeway and left <= judged.most, info, err
  end
  return fits(self, info, method), info, err
end

--- Where a renewal could not be waited for, as in some phases of nginx, the seconds left do.
local function serves_here(self, info)
  return self.io.refusal and self.io.refusal()
    and self.client:works(self.now(), flat(info))
end

--- The third result is what is wrong with the call itself: the method raises it, and so blames the
--- right caller.
local function obtain(self, method, opts)
  local first
  if type(self) ~= "table" or not self.client then
    return nil, nil, misused(self)
  end
  if opts == nil and not self.unsaved then
    local is_fit, info, err = look(self, method)
    if is_fit then
      return info
    end
    if type(info) == "table" and serves_here(self, info) then
      return info
    end
    if not (self.cache.may_be_stale or self.in_memory) then
      first = { info = info, err = err }
    end
  end
  opts = opts == nil and NO_OPTIONS or opts
  local problem = options.problem(opts, self.call_rules)
  if problem then
    return nil, nil, problem
  end
  local timeout, response, info, err = opts.timeout or self.timeout
  if self._take_response and (opts.code or opts.response_url) then
    response, err, problem = self:_take_response(opts)
    if not response then
      return nil, err, problem
    end
    return self:_redeem(response, timeout)
  end
  driver = driver or require "tokencache.driver"
  info, err = driver.run(self, timeout, opts.check_cache == false and FORCED or NO_OPTIONS, first)
  return info, err
end

local function obtain_by_peek(self, opts)
  return obtain(self, PEEK, opts)
end

--- After a look that did not find a token that serves: it may have found an old copy.
local function look_again(self, info, err)
  if info ~= nil and self.cache.may_be_stale then
    info, err = self.cache:get_cached_token(true)
  end
  driver = driver or require "tokencache.driver"
  info, err = driver.checked(info, err)
  return fits(self, info, GET) and info.access_token or nil, err
end

---@class tokencache.CallOptions
---@field check_cache? boolean   false: get a new token
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
function Flow:get_access_token(opts)
  local info, err, problem = obtain(self, PEEK, opts)
  if info then
    return info.access_token
  elseif problem then
    error("get_access_token: " .. problem, 2)
  end
  return nil, err
end

--- What get_access_token() returns where it has nothing to do but look into the cache: the cached
--- token while it is fresh. Else nil, and nothing is done about it: no provider or user is asked.
--- In an event loop, over two tiers, one look serves for a turn of the loop.
---@return string?  access_token
---@return tokencache.Error?  the cache could not be read
function Flow:peek_access_token()
  local problem = misused(self)
  if problem then
    error("peek_access_token: " .. problem, 2)
  elseif self.unsaved then
    return nil -- there is a newer one, which the next call has to save
  end
  local is_fit, info, err = look(self, PEEK)
  if is_fit then
    return info.access_token
  end
  return look_again(self, info, err)
end

--- The same as get_access_token(), with everything known about the token.
---@param opts? tokencache.CallOptions
---@return tokencache.TokenInfo?
---@return tokencache.Error?
function Flow:get_token_info(opts)
  local info, err, problem = obtain(self, GET, opts)
  if problem then
    error("get_token_info: " .. problem, 2)
  end
  return info, err
end

--- Whether fewer than `leeway` seconds are left, or so many more than its expires_in that the clock
--- must have been put back. A token that states no end does not expire; one whose end is no number
--- has.
---@param info tokencache.TokenInfo
---@return boolean
function Flow:is_token_expired(info)
  local problem = misused(self) or type(info) ~= "table"
    and "token_info must be a table, not a " .. type(info)
  if problem then
    error("is_token_expired: " .. problem, 2)
  end
  return self.client:is_expired(self.now(), info.expires_at, info.expires_in)
end

--- The token_info itself if it serves this flow: of this client, with the scopes wanted, fresh.
---@param info? tokencache.TokenInfo
---@return tokencache.TokenInfo?
function Flow:validate_token(info)
  local problem = misused(self)
  if problem then
    error("validate_token: " .. problem, 2)
  end
  if type(info) == "table" and self.client:fits(self.now(), flat(info)) then
    return info
  end
end

--- Renews the token ahead of time from now on, so that no request waits for that: in nginx, to be
--- called in init_worker_by_lua, or where the io table has `after`. Of several that share a cache,
--- the one that gets its lock renews.
---@param opts? { margin?: number, jitter?: number }  seconds before a request would renew it;
---   default 60, at most half of the time that the token serves; and how far those who share it
---   are spread, default 10
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

--- What makes a flow different from the others.
---@class tokencache.FlowDefinition
---@field name string          as the engine knows it
---@field rules table          its options
---@field methods? table       beside the common ones
---@field auth_method string   the default of token_endpoint_auth_method
---@field required? string[]   options that must be given, or be in the environment
---@field complete? fun(self, checked: table, server: table): string?  adds its own fields, or
---                            returns what is wrong

local function new_metatable(definition)
  return {
    __index = options.merge(Flow, definition.methods or {}),
    __name = "tokencache.flow",
    __tostring = function(self)
      return "tokencache.flow." .. definition.name .. ": " .. self.client_id
    end,
  }
end

--- Makes the constructor of a flow. It raises where an option is wrong and blames its caller.
---@param definition tokencache.FlowDefinition
---@return fun(given: table): tokencache.Flow
function base.define(definition)
  local metatable = new_metatable(definition)
  local where = "flow." .. definition.name .. ": "
  return function(given)
    local self, problem = config.read(definition, given)
    if not self then
      error(where .. problem, 2)
    end
    setmetatable(self, metatable)
    if self.turn and self.cache.may_be_stale and self.cache.changes then
      local turn_path = require "tokencache.flow.turn_path" -- most programs have no turns
      self.peek_access_token = turn_path(self, self.io, self.peek_access_token)
    end
    self.in_memory = core.memory_box(self.cache) ~= nil
    local box = self.now == default_io.now
      and core.memory_box(self.cache.front_in_memory or self.cache)
    if box then
      self.get_access_token = memory_path(self, box, self.leeway, obtain_by_peek)
    end
    return self
  end
end

return base
