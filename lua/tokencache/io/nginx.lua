--- How the flow engine's actions are carried out in nginx, whose event loop must not be blocked:
--- requests go to a thread pool, sleeps and the user's own cosockets yield.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx
local phase = require "tokencache.nginx.phase"

--- ngx.now() is the time at which nginx last looked at the clock.
local function now()
  ngx.update_time()
  return ngx.now()
end

--- With the directive timer_resolution nginx looks at the clock whenever an interval timer tells it
--- to, and no oftener: to ngx.now() a turn lasts as long as the interval. The master has no timer.
local function turns_are_short()
  if ngx.get_phase() == "init" then
    return nil
  end
  return not core.has_interval_timer()
end

---@param seconds number
---@return true?
---@return tokencache.Error?
local function sleep(seconds)
  local refusal = phase.refusal()
  if refusal then
    return nil, refusal
  end
  ngx.sleep(seconds)
  return true
end

--- What is still waiting when the worker ends is not called.
---@param seconds number
---@param fn fun()
---@return boolean?  false: the worker is about to end
---@return tokencache.Error?
local function after(seconds, fn)
  if ngx.get_phase() == "init" then
    return nil, errors.new("config", "in nginx's phase init there are no timers yet; take "
      .. "init_worker_by_lua")
  end
  local ok, problem = ngx.timer.at(seconds, function(premature)
    if not premature then
      fn()
    end
  end)
  if ok or ngx.worker.exiting() then
    return ok == true
  end
  return nil, errors.new("config", "nginx has no timer to spare: " .. tostring(problem))
end

--- A worker that listens or asks at its terminal serves nobody: only the program's own callback.
local function log_in(flow)
  if flow.authorize then
    return require("tokencache.login").run(flow)
  end
  return nil, errors.new("reauthorize", "the user must log in, which takes two requests to nginx: "
    .. "send the user to the URL of get_authorize_url(), and give what comes back to exchange()")
end

---@type tokencache.Io
return {
  now = now,
  monotonic = core.monotonic,
  turn = ngx.now, -- not updated within one
  turns_are_short = turns_are_short,
  sleep = sleep,
  refusal = phase.refusal,
  after = after,
  random = crypto.random,
  log_in = log_in,
  transport = function(options)
    return require("tokencache.nginx.http").new(options)
  end,
}
