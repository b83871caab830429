--- Renews a flow's token on a timer, ahead of the time at which a request would have to.
---
--- Whoever shares a cache may do so too: each wakes at a slightly different time and looks, the
--- first one takes the cache's lock and renews, and the others find what it saved. A token serves
--- until a renewal has succeeded, so requests go on with the old one meanwhile.

local driver = require "tokencache.driver"
local log = require "tokencache.log"
local options = require "tokencache.options"
local protected = require "tokencache.protected"

local FIRST_PAUSE = 1    -- seconds after a failure; doubled each time
local LONGEST_PAUSE = 60 -- then, and between two looks at the cache: others may replace the token
local NO_LATER = 0.5     -- seconds: a token that ends no later than this one is not a newer one

---@class tokencache.Keeper
---@field flow tokencache.Flow
---@field margin number    seconds
---@field jitter number    seconds
---@field expires_at? number  Unix seconds: of the token last seen
---@field due? number         Unix seconds: when that is to be renewed
---@field failures integer
---@field warned? boolean     of what lasts: no login, tokens that live too short
local Keeper = {}
Keeper.__index = Keeper

--- A number from zero up to one; in the workers of nginx, math.random() gives all the same.
local function random(flow)
  local bytes = flow.io.random(2)
  return bytes and (bytes:byte(1) * 256 + bytes:byte(2)) / 65536 or 0
end

local function warn_once(self, ...)
  if not self.warned then
    self.warned = true
    log.warning("keep_fresh: ", ...)
  end
end

--- Sets when the token is due, where it is another than the last one.
local function note(self, info)
  local flow, expires_at = self.flow, tonumber(info.expires_at)
  if expires_at == self.expires_at then
    return
  end
  self.expires_at, self.due = expires_at, nil
  if not expires_at then
    return
  end
  local serves = (tonumber(info.expires_in) or expires_at - flow.now()) - flow.leeway
  if serves <= 0 then
    return warn_once(self, "the tokens live no longer than the leeway of ", flow.leeway,
      " seconds; lower it")
  end
  self.warned = nil
  self.due = expires_at - flow.leeway - math.min(self.margin, serves / 2)
    - random(flow) * math.min(self.jitter, serves / 4)
end

--- How much earlier than usual the token must be renewed now: so much that this one does not do.
local function earlier(self)
  local now = self.flow.now()
  if not self.due or now < self.due then
    return 0
  end
  return math.max(0, self.expires_at - self.flow.leeway - now + NO_LATER)
end

--- Seconds to wait after a failure; not all wait the same.
local function backoff(self, err)
  local pause = math.min(FIRST_PAUSE * 2 ^ self.failures, LONGEST_PAUSE)
  self.failures = self.failures + 1
  return math.max(err.retry_after or 0, pause * (1 - random(self.flow) / 2))
end

local function after_error(self, err)
  if err.kind ~= "reauthorize" then
    log.warning("keep_fresh: the token could not be renewed: ", err)
    return backoff(self, err)
  end
  warn_once(self, err)
  return LONGEST_PAUSE -- somebody may log in
end

--- Renews the token if it is due.
---@return number seconds  until the next look
local function look(self)
  local info, err = driver.run(self.flow, self.flow.timeout, { stays_out = true,
    earlier = earlier(self) })
  if not info then
    return after_error(self, err)
  end
  note(self, info)
  local left = self.due and self.due - self.flow.now() or LONGEST_PAUSE
  if left <= 0 then
    return backoff(self, {}) -- another is renewing it, or the new one ends no later
  end
  self.failures = 0
  return math.min(left, LONGEST_PAUSE)
end

--- A handler may raise; that must not be the end.
local function safe_look(self)
  local ok, result = protected(look, self)
  if ok then
    return result
  end
  log.error("keep_fresh: ", result)
  return backoff(self, {})
end

local schedule

local function wake(self)
  local seconds = safe_look(self)
  local ok, err = schedule(self, seconds)
  while ok == nil do
    log.error("keep_fresh: ", err)
    self.flow.io.sleep(FIRST_PAUSE)
    ok, err = schedule(self, 0)
  end
end

function schedule(self, seconds)
  return self.flow.io.after(seconds, function()
    wake(self)
  end)
end

local RULES = {
  margin = { "number>=0", default = 60 },
  jitter = { "number>=0", default = 10 },
}

---@param flow tokencache.Flow
---@param opts? { margin?: number, jitter?: number }
---@return true?
---@return tokencache.Error?
---@return string? problem  with the call
return function(flow, opts)
  local self, problem = options.read(opts, RULES)
  if not self then
    return nil, nil, problem
  elseif flow.is_kept_fresh then
    return nil, nil, "this flow is kept fresh already"
  elseif flow.response_type == "token" then
    return nil, nil, "tokens of the implicit grant cannot be renewed"
  elseif not flow.io.after then
    return nil, nil, "there are no timers here; it works in nginx, or with an io table that has "
      .. "after (docs/transports.md)"
  end
  self.flow, self.failures = flow, 0
  local ok, err = schedule(setmetatable(self, Keeper), 0)
  if ok == nil then
    return nil, err
  end
  flow.is_kept_fresh = true
  return true
end
