--- Waits for work that takes its time: with heartbeats in between, and not for longer than allowed.

local ngx = require("tokencache.environment").nginx

local protected = require "tokencache.util.protected"

local function nothing() end

local function work(fn, ...)
  return "done", fn(...)
end

local function beat(seconds, heartbeat)
  ngx.sleep(seconds)
  heartbeat.has_begun = true
  return "beat", protected(heartbeat.fn)
end

--- A heartbeat that has begun is let finish, for it may be a handler's.
local function end_beat(beating, heartbeat)
  if not heartbeat.has_begun then
    ngx.thread.kill(beating)
    return true
  end
  local _, _, ok, problem = ngx.thread.wait(beating)
  return ok, problem
end

--- Seconds until the deadline.
local function left_until(deadline)
  ngx.update_time()
  return deadline - ngx.now()
end

--- Until the work is done the caller's coroutine waits for light threads and for nothing else: once
--- it has waited for one, ngx_lua wakes it at that one's end from whatever it waits for by then,
--- and gives it the thread's results for those of a socket, say. So heartbeats have a thread, too.
---@param request? tokencache.HttpRequest  whose heartbeat it is, if it has one; that may raise
---@param seconds? number   the work is given up after these; nil: it ends by itself
---@param fn function       called with the rest
---@return boolean done     false: it was given up
---@return any, any         what fn returned
return function(request, seconds, fn, ...)
  local working = ngx.thread.spawn(work, fn, ...)
  local interval = request and request.heartbeat_interval
  local deadline = seconds and ngx.now() + seconds or math.huge
  while true do
    local beating, heartbeat
    if coroutine.status(working) ~= "zombie" then -- else it had nothing to wait for
      local left = left_until(deadline)
      if left <= 0 then
        ngx.thread.kill(working)
        return false
      end
      heartbeat = { fn = request and request.heartbeat or nothing }
      beating = ngx.thread.spawn(beat, math.min(left, interval or left), heartbeat)
    end
    local ok, event, result, err = ngx.thread.wait(working, beating)
    local is_well, problem = true, nil
    if event == "beat" then
      is_well, problem = result, err
    elseif beating then
      is_well, problem = end_beat(beating, heartbeat)
    end
    if not ok then
      error(event, 0)
    elseif not is_well then
      ngx.thread.kill(working)
      error(problem, 0)
    elseif event == "done" then
      return true, result, err
    end
  end
end
