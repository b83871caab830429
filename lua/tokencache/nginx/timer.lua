--- Timers of nginx. Beyond `lua_max_running_timers` (256) nginx drops what a timer was to do, and
--- says so in its log alone; so there are never so many of ours.

local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx

local MOST_RUNNING = 200
local CROWDED_PAUSE = 0.05 -- seconds before it is looked again whether there is room
local LATE = 1 -- seconds without a timer that was set for now: nginx has dropped it

local timer = {}

---@class tokencache.Timed
---@field fn fun()
---@field at_end? fun()

---@type table<tokencache.Timed, number>  timers set for now that have not come, and since when
local starting = {}
local due = 0 -- how many these are

---@type tokencache.Timed[]
local waiting = {} -- while nginx runs as many timers as it should
local looks_at -- seconds: when a timer looks after them; nil: none is set

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

--- Forgets that a timer is about to come.
---@return boolean  false: that was forgotten before
local function has_come(item)
  if not starting[item] then
    return false
  end
  starting[item], due = nil, due - 1
  return true
end

--- Sets a timer for now.
local function start(item)
  local ok, problem = ngx.timer.at(0, function(premature)
    if has_come(item) then
      call(item, premature)
    end
  end)
  if ok then
    starting[item], due = ngx.now(), due + 1
  end
  return ok, problem
end

--- The program has timers of its own, and may have as many as nginx runs. What has not come for
--- long was dropped then.
local function take_back_dropped()
  local late = ngx.now() - LATE
  for item, since in pairs(starting) do
    if since < late and has_come(item) then
      waiting[#waiting + 1] = item
    end
  end
  if looks_at and looks_at < late then
    looks_at = nil
  end
end

--- Begins what there is room for, in the order in which it came.
local function begin_waiting()
  local count, rest = 0, {}
  while waiting[count + 1] and not is_crowded() and start(waiting[count + 1]) do
    count = count + 1
  end
  if count > 0 then
    for i = count + 1, #waiting do
      rest[#rest + 1] = waiting[i]
    end
    waiting = rest
  end
end

local look

local function wait_for_room()
  if looks_at then
    return true
  end
  local ok, problem = ngx.timer.at(CROWDED_PAUSE, look)
  looks_at = ok and ngx.now() + CROWDED_PAUSE or nil
  return ok, problem
end

--- Each in a coroutine of its own, as in a timer of its own.
local function end_all(items)
  for _, item in ipairs(items) do
    ngx.thread.spawn(call, item, true)
  end
end

look = function(premature)
  looks_at = nil
  take_back_dropped()
  if not premature then
    begin_waiting()
  end
  if #waiting > 0 and (premature or not wait_for_room()) then
    local items = waiting
    waiting = {}
    end_all(items)
  end
end

--- Begins it now, or as soon as there is room.
local function begin(item)
  take_back_dropped()
  begin_waiting()
  if #waiting == 0 and not is_crowded() then
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
