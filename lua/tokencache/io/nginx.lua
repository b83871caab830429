--- How the flow engine's actions are carried out in nginx, whose event loop must not be blocked:
--- requests go to a thread pool, sleeps and the user's own cosockets yield.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx
local new_waiter = require "tokencache.nginx.waiter"
local phase = require "tokencache.nginx.phase"
local timer = require "tokencache.nginx.timer"

--- ngx.now() is the time at which nginx last looked at the clock.
local function now()
  ngx.update_time()
  return ngx.now()
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

local function pause()
  if not phase.refusal() then
    ngx.sleep(0)
  end
end

--- A worker that listens or asks at its terminal serves nobody: only what the program does itself.
local function log_in(flow)
  if flow.authorize or flow.show then
    return require("tokencache.login").run(flow, nil, { "device" })
  end
  return nil, errors.new("reauthorize", "the user must log in, which takes two requests to nginx: "
    .. (flow.begin and "show what begin() returns, and give its pending to poll()"
    or "send the user to the URL of get_authorize_url(), and give what comes back to exchange()"))
end

---@type tokencache.Io
return {
  now = now,
  monotonic = core.monotonic,
  sleep = sleep,
  pause = pause,
  refusal = phase.refusal,
  after = timer.after,
  new_waiter = new_waiter,
  random = crypto.random,
  log_in = log_in,
  transport = function(options)
    return require("tokencache.nginx.http").new(options)
  end,
}
