--- Timers of nginx. Beyond `lua_max_running_timers` (256) nginx drops what a timer was to do, and
--- says so in its log alone; so there are never so many.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local MOST_RUNNING = 200
local CROWDED_PAUSE = 0.1 -- seconds before a timer looks again whether it may run

local timer = {}

local due = 0 -- timers that are set for now and have not begun

local function is_crowded()
  return ngx.timer.running_count() + due >= MOST_RUNNING
end

--- What is still waiting when the worker ends is not called, unless `at_end` is: it has not long,
--- and nginx may end before it has.
---@param seconds number
---@param fn fun()
---@param at_end? fun()  called in its place where the worker ends before
---@return boolean?  false: the worker is about to end
---@return tokencache.Error?
function timer.after(seconds, fn, at_end)
  if ngx.get_phase() == "init" then
    return nil, errors.new("config", "in nginx's phase init there are no timers yet; take "
      .. "init_worker_by_lua")
  end
  local is_for_now = seconds == 0
  if is_for_now and is_crowded() then
    return nil, errors.new("config", "nginx runs as many timers as it should already")
  end
  local function ring(premature)
    if is_for_now then
      due = due - 1
    elseif not premature and is_crowded() and ngx.timer.at(CROWDED_PAUSE, ring) then
      return
    end
    if not premature then
      fn()
    elseif at_end then
      at_end()
    end
  end
  local ok, problem = ngx.timer.at(seconds, ring)
  if ok then
    due = due + (is_for_now and 1 or 0)
    return true
  elseif ngx.worker.exiting() then
    return false
  end
  return nil, errors.new("config", "nginx has no timer to spare: " .. tostring(problem))
end

return timer
