--- Renews a flow's token on a timer, ahead of the time at which a request would have to.
---
--- Whoever shares a cache may do so too: each wakes at a slightly different time and looks, the
--- first one takes the cache's lock and renews, and the others find what it saved. A token serves
--- until a renewal has succeeded, so requests go on with the old one meanwhile.

local core = require "tokencache._core"
local driver = require "tokencache.driver"
local log = require "tokencache.log"
local options = require "tokencache.util.options"
local protected = require "tokencache.util.protected"
local token_info = require "tokencache.token_info"

local FIRST_PAUSE = 1    -- seconds after a failure; doubled each time
local LONGEST_PAUSE = 60 -- then, and between two looks at the cache: others may replace the token
local ROUND = 5          -- seconds between two looks through many accounts
local SLICE = 500        -- accounts that are looked through at a stretch
local A_MOMENT = 0.001   -- seconds between two slices: nginx warns of a sleep of none
local TOO_MANY = 429     -- HTTP status
local NO_LATER = 0.5     -- seconds: a token that ends no later than this one is not a newer one

---@class tokencache.Keeper
---@field account tokencache.Account
---@field flow tokencache.Flow
---@field margin number    seconds
---@field jitter number    seconds
---@field expires_at? number  Unix seconds: of the token last seen
---@field until_? number      Unix seconds: until when a request would use it
---@field due? number         Unix seconds: when that is to be renewed
---@field failures integer
---@field warned? boolean     that there is no login
local Keeper = {}
Keeper.__index = Keeper

--- A number from zero up to one; in the workers of nginx, math.random() gives all the same.
local function random(flow)
  local bytes = flow.io.random(2)
  return bytes and (bytes:byte(1) * 256 + bytes:byte(2)) / 65536 or 0
end

--- Computes when the token is due to be renewed, if it is a new one.
local function note(self, info)
  local flow, expires_at = self.flow, token_info.known_end(info)
  if expires_at == self.expires_at then
    return
  end
  self.expires_at, self.due = expires_at, nil
  if not expires_at then
    return
  end
  local lifetime = tonumber(info.expires_in)
  local _, until_ = core.token_window(expires_at, lifetime, flow.leeway)
  local serves = until_ - (lifetime and expires_at - lifetime or flow.now())
  if serves <= 0 then
    return
  end
  self.warned, self.until_ = nil, until_
  self.due = until_ - math.min(self.margin, serves / 2)
    - random(flow) * math.min(self.jitter, serves / 4)
end

--- Returns how many seconds earlier than usual a token counts as expired in the next run. It is
--- zero, or just enough for the present token to count as expired.
local function earlier(self)
  local now = self.flow.now()
  if not self.due or now < self.due then
    return 0
  end
  return math.max(0, self.until_ - now + NO_LATER)
end

--- Seconds to wait after a failure; not all wait the same.
local function backoff(self, err)
  local pause = math.min(FIRST_PAUSE * 2 ^ self.failures, LONGEST_PAUSE)
  self.failures = self.failures + 1
  return math.max(err.retry_after or 0, pause * (1 - random(self.flow) / 2))
end

local function after_error(self, err)
  self.last_error = err
  if err.kind ~= "reauthorize" then
    log.warning("keep_fresh: the token could not be renewed: ", err)
    return backoff(self, err)
  end
  if not self.warned then
    self.warned = true
    log.warning("keep_fresh: ", err)
  end
  return LONGEST_PAUSE -- somebody may log in
end

--- Renews the token if it is due.
---@return number seconds  until the next look
local function look(self)
  self.last_error = nil
  local info, err = driver.run(self.account, self.flow.timeout, { stays_out = true,
    earlier = earlier(self), in_timer = true })
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

local function schedule(io, seconds, fn)
  local ok, err = io.after(seconds, fn)
  while ok == nil do
    log.error("keep_fresh: ", err)
    io.sleep(FIRST_PAUSE)
    ok, err = io.after(0, fn)
  end
end

local function new_keeper(account, margin, jitter)
  return setmetatable({ account = account, flow = account.flow, margin = margin, jitter = jitter,
    failures = 0 }, Keeper)
end

--- Keeps one account fresh: a timer for its next look.
local function keep_one(flow, opts)
  local keeper = new_keeper(flow, opts.margin, opts.jitter)
  local function wake()
    schedule(flow.io, safe_look(keeper), wake)
  end
  return flow.io.after(0, wake)
end

---@class tokencache.Keepers   of a flow with many accounts
---@field flow tokencache.Flow
---@field opts { margin: number, jitter: number, at_once: integer }
---@field of table<tokencache.Account, tokencache.Keeper>  accounts that are gone are forgotten
---@field running integer      renewals under way
---@field slowed_until number  monotonic seconds: none is begun before; the provider said so

--- The keeper of an account whose token is due, if somebody has asked for it since it was renewed.
local function keeper_if_due(self, account)
  local keeper, now = self.of[account], self.flow.io.monotonic()
  if not keeper then
    keeper = new_keeper(account, self.opts.margin, self.opts.jitter)
    keeper.next_look, self.of[account] = now, keeper
  end
  if keeper.is_at_work or now < keeper.next_look or account.used == nil then
    return nil
  end
  local info = account:judged()
  if info then
    note(keeper, info)
  end
  if keeper.due and self.flow.now() >= keeper.due then
    return keeper
  end
end

local function renew(self, keeper)
  local io = self.flow.io
  keeper.is_at_work, self.running, keeper.account.used = true, self.running + 1, nil
  local ok = io.after(0, function()
    local pause = safe_look(keeper)
    local err = keeper.last_error
    keeper.is_at_work, self.running = nil, self.running - 1
    keeper.next_look = io.monotonic() + pause
    if err and err.kind ~= "reauthorize" then
      keeper.account.used = keeper.account.used or false -- it is tried again
    end
    if err and (err.status == TOO_MANY or err.retry_after) then
      self.slowed_until = io.monotonic() + math.max(err.retry_after or 0, pause)
    end
  end)
  if not ok then
    keeper.is_at_work, self.running, keeper.account.used = nil, self.running - 1, false
  end
end

--- Looks through the accounts, and lets the event loop run after each slice of them.
local function look_through(self)
  local io, ring = self.flow.io, self.flow.process.accounts
  for slot = 1, ring.count do
    local account = ring.slots[slot]
    local keeper = account and account.flow == self.flow and keeper_if_due(self, account)
    while keeper and (self.running >= self.opts.at_once or io.monotonic() < self.slowed_until) do
      io.sleep(FIRST_PAUSE)
    end
    if keeper then
      renew(self, keeper)
    end
    if slot % SLICE == 0 then
      io.sleep(A_MOMENT)
    end
  end
end

local function keep_many(flow, opts)
  local self = { flow = flow, opts = opts, of = setmetatable({}, { __mode = "k" }), running = 0,
    slowed_until = 0 }
  local function wake()
    local ok, err = protected(look_through, self)
    if not ok then
      log.error("keep_fresh: ", err)
    end
    schedule(flow.io, ROUND, wake)
  end
  return flow.io.after(0, wake)
end

local RULES = {
  margin = { "number>=0", default = 60 },
  jitter = { "number>=0", default = 10 },
  at_once = { "number>0", default = 10 },
}

---@param flow tokencache.Flow
---@param opts? { margin?: number, jitter?: number, at_once?: integer }
---@return true?
---@return tokencache.Error?
---@return string? problem  with the call
return function(flow, opts)
  local checked, problem = options.read(opts, RULES)
  if not checked then
    return nil, nil, problem
  elseif flow.is_kept_fresh then
    return nil, nil, "this flow is kept fresh already"
  elseif flow.response_type == "token" then
    return nil, nil, "tokens of the implicit grant cannot be renewed"
  elseif not flow.io.after then
    return nil, nil, "there are no timers here; it works in nginx, or with an io table that has "
      .. "after (docs/transports.md)"
  end
  local ok, err = (flow.store and keep_many or keep_one)(flow, checked)
  if ok == nil then
    return nil, err
  end
  flow.is_kept_fresh = true
  return true
end
