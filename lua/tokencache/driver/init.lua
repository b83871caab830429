--- Runs the flow engine: it decides (src/core/engine.c), tokencache.driver.actions carries out.

local actions = require "tokencache.driver.actions"
local core = require "tokencache._core"
local debt = require "tokencache.account.debt"
local debt_timers = require "tokencache.account.debt_timers"
local detached = require "tokencache.account.detached"
local errors = require "tokencache.error"
local leave = require "tokencache.account.leave"
local lock = require "tokencache.lock"
local log = require "tokencache.log"
local log_in = require "tokencache.account.log_in"
local observer = require "tokencache.observer"
local payment = require "tokencache.account.debt_payment"
local token_info = require "tokencache.token_info"

local driver = {}

local function succeed(run, origin, err)
  if err and run.options.earlier then
    return nil, err
  elseif run.is_logged_out then
    return nil, errors.new("reauthorize", "the user has logged out while the token was renewed")
  elseif err then
    log.repeated("warning", errors.id("renewal", err),
      "the token could not be renewed yet, the old one still works: ", err)
  end
  return run.infos[origin]
end

local function fail(run, err, code_is_unused)
  if err.kind == "timeout" and run.waited then
    err = debt.explanation(run) or err
  end
  err = run.login_error or run.shared_error or err.kind == "cache" and run.cache_error
    or err.kind == "reauthorize" and run.unsent_error or err
  if observer.on then
    observer.emit("failure", run.account, { kind = err.kind,
      seconds = run.flow.io.monotonic() - run.since })
  end
  return nil, err, code_is_unused
end

local endings = { ["return"] = succeed, fail = fail }

--- The time by the flow's own clocks; where it has none, the engine reads the system's.
local function clocks(flow)
  if flow.clocks then
    return flow.clocks()
  end
end

local function resume(run, ...)
  local now, monotonic = clocks(run.flow)
  return run.engine:resume(now, monotonic, ...)
end

local function step(run, action, ...)
  return resume(run, actions[action](run, ...))
end

--- Actions that a run begins with: no lock is held and nothing was sent.
local IS_APART = { load = true, authorize = true, discover = true }

--- All that must not be left half done, from the lock to its release. Where the lock is busy, the
--- wait for it is no part of that.
local function carry_through(run, action, a, b, c, d, e, f)
  repeat
    action, a, b, c, d, e, f = step(run, action, a, b, c, d, e, f)
  until endings[action] or (run.busy and action == "sleep")
  run.account.seen = nil -- a store may bring back what was judged before
  debt_timers.keep(run.state) -- also where there was no lock to release
  if endings[action] or run.is_left then
    log_in.finish(run)
  end
  return action, a, b, c, d, e, f
end

---@class tokencache.RunOptions
---@field forced? boolean         do not settle for the cached token
---@field refused? string         an access token that the API refuses: it never serves
---@field login? boolean          begin with a login
---@field response? table         of a login that has taken place
---@field given? tokencache.TokenInfo  to be renewed, whatever other login the cache holds; its
---                               refresh_token alone will do
---@field stays_out? boolean      never ask the user
---@field earlier? number         seconds: renew a token that much earlier, and return the error
---                               where that fails, though the old one still works
---@field in_timer? boolean       no caller can leave this run

local function new_run(account, timeout, options, first)
  local flow = account.flow
  local now = flow.io.monotonic()
  return {
    account = account, flow = flow, handler = account.handler, options = options, first = first,
    state = account.process:state(account.id), engine = core.new_engine(flow.client),
    lock = lock.new(account.handler, flow.io.monotonic), infos = { given = options.given },
    since = now, timeout = timeout, deadline = now + timeout,
  }
end

local function start(run)
  local flow, handler, options = run.flow, run.handler, run.options
  local now, monotonic = clocks(flow)
  return run.engine:start(now, monotonic, {
    timeout = run.timeout,
    request_time = flow.request_time,
    earlier = options.earlier,
    forced = options.forced,
    refused = options.refused,
    authorized = options.response ~= nil or options.login,
    lockless = not handler.try_lock,
  }, token_info.flat(options.given))
end

--- Tries to save what is owed, and sees to it that it is looked after.
local function settle(run)
  local _, read = detached(run.account, run.deadline, payment.settle, run.state)
  run.first = read
  debt_timers.keep(run.state)
end

--- One run of the engine: carries out one action after the other, up to the one that ends it.
---@param account tokencache.Account
---@param timeout number          seconds for the whole run
---@param options tokencache.RunOptions
---@param first? { info?: any, err?: any, entry?: any }  what a look at the cache returned just now
---@return tokencache.TokenInfo?
---@return tokencache.Error?
---@return boolean? code_is_unused  it failed, and the server has not seen the code of `response`
function driver.run(account, timeout, options, first)
  local run = new_run(account, timeout, options, first)
  if run.state.owed then
    debt.adopt(account, run.state)
    settle(run)
  end
  local action, a, b, c, d, e, f = start(run)
  while not endings[action] do
    if IS_APART[action] or (run.busy and action == "sleep") then
      action, a, b, c, d, e, f = step(run, action, a, b, c, d, e, f)
    elseif options.in_timer then
      action, a, b, c, d, e, f = carry_through(run, action, a, b, c, d, e, f)
    else
      local finished
      finished, action, a, b, c, d, e, f = detached(account, run.deadline, carry_through, run,
        action, a, b, c, d, e, f)
      if not finished then
        run.is_left = true
        return leave(run)
      end
    end
  end
  local info, err, code_is_unused = endings[action](run, a, b)
  run.engine:close()
  log_in.finish(run)
  if run.state.owed and run.state.owed.next_at == 0 then
    settle(run) -- the store had brought a spent token back, or another worker left it
  end
  return info, err, code_is_unused
end

return driver
