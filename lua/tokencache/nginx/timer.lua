--- Timers of nginx. Beyond `lua_max_running_timers` (256) nginx drops what a timer was to do, and
--- says so in its log alone; so there are never so many.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local MOST_RUNNING = 200
local CROWDED_PAUSE = 0.05 -- seconds before it is looked again whether there is room

local timer = {}

---@class tokencache.Timed
---@field fn fun()
---@field at_end? fun()

local due = 0 -- timers that are set for now and have not begun

---@type tokencache.Timed[]
local waiting = {} -- while nginx runs as many timers as it should
local is_looking = false -- a timer looks after them

local function is_crowded()
  return ngx.timer.running_count() + due >= MOST_RUNNING
end

local function call(item, premature)
  local fn = item.fn
  if premature then
    fn = item.at_end
  end
  if fn then
    fn()
  end
end

--- Sets a timer for now.
local function start(item)
  local ok, problem = ngx.timer.at(0, function(premature)
    due = due - 1
    call(item, premature)
  end)
  due = due + (ok and 1 or 0)
  return ok, problem
end

local look

local function wait_for_room()
  local ok, problem = is_looking, nil
  if not is_looking then
    ok, problem = ngx.timer.at(CROWDED_PAUSE, look)
    is_looking = ok and true or false
  end
  return ok, problem
end

--- Each in a coroutine of its own, as in a timer of its own.
local function end_all(items)
  for _, item in ipairs(items) do
    ngx.thread.spawn(call, item, true)
  end
end

--- Begins what there is room for by now.
look = function(premature)
  local items = waiting
  waiting, is_looking = {}, false
  if premature then
    return end_all(items)
  end
  for _, item in ipairs(items) do
    if is_crowded() or not start(item) then
      waiting[#waiting + 1] = item
    end
  end
  if #waiting > 0 and not wait_for_room() then
    items, waiting = waiting, {}
    end_all(items)
  end
end

--- Begins it now, or as soon as there is room.
local function begin(item)
  if not is_crowded() then
    return start(item)
  end
  local ok, problem = wait_for_room()
  if ok then
    waiting[#waiting + 1] = item
  end
  return ok, problem
end

--- When the worker ends, what is still waiting is not called; `at_end` is, if it was given. It has
--- little time: nginx may end before it is done.
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
  local item = { fn = fn, at_end = at_end }
  local ok, problem
  if seconds == 0 then
    ok, problem = begin(item)
  else
    ok, problem = ngx.timer.at(seconds, function(premature)
      if premature or not (is_crowded() and begin(item)) then
        call(item, premature)
      end
    end)
  end
  if ok then
    return true
  elseif ngx.worker.exiting() then
    return false
  end
  return nil, errors.new("config", "nginx has no timer to spare: " .. tostring(problem))
end

return timer
