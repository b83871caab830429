--- Waits for work that takes its time: with heartbeats in between, and not for longer than allowed.

local ngx = require("tokencache.environment").nginx

local function after(seconds)
  ngx.sleep(seconds)
  return "pause"
end

local function work(fn, ...)
  return "done", fn(...)
end

--- Seconds until the deadline.
local function left_until(deadline)
  ngx.update_time()
  return deadline - ngx.now()
end

--- The heartbeat runs in the caller's coroutine: it may be a handler's, and may raise.
---@param request? tokencache.HttpRequest  whose heartbeat it is, if it has one
---@param seconds? number   the work is given up after these; nil: it ends by itself
---@param fn function       called with the rest
---@return boolean done     false: it was given up
---@return any, any         what fn returned
return function(request, seconds, fn, ...)
  local working = ngx.thread.spawn(work, fn, ...)
  local interval = request and request.heartbeat_interval
  local deadline = seconds and ngx.now() + seconds or math.huge
  while true do
    local pause
    if coroutine.status(working) ~= "zombie" then -- else it had nothing to wait for
      local left = left_until(deadline)
      if left <= 0 then
        ngx.thread.kill(working)
        return false
      end
      pause = ngx.thread.spawn(after, math.min(left, interval or left))
    end
    local ok, event, result, err = ngx.thread.wait(working, pause)
    if pause and event ~= "pause" then
      ngx.thread.kill(pause)
    end
    if not ok then
      error(event, 0)
    elseif event == "done" then
      return true, result, err
    elseif request and request.heartbeat then
      request.heartbeat()
    end
  end
end
