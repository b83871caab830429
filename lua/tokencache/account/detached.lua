--- Runs a function that must not be left half done. Where an event loop has timers, it runs in one:
--- there it goes on when its client leaves, or when the caller's coroutine is dropped. The caller
--- waits for it until its own deadline. A handler that can do some things only in its request is
--- told before (`set_out`) and after (`come_back`).

local protected = require "tokencache.util.protected"

local FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05 -- seconds, where there is nothing to be woken by

local unpack = table.unpack or unpack -- luacheck: ignore 143 113

--- Waits until it is done, or until the deadline.
local function wait(io, waiter, deadline, outcome)
  local pause = FIRST_PAUSE
  while not outcome.done do
    local left = deadline - io.monotonic()
    if left <= 0 then
      return
    end
    local _, err
    if waiter then
      waiter:wait(left)
    else
      _, err = io.sleep(math.min(pause, left))
      pause = math.min(2 * pause, LONGEST_PAUSE)
    end
    if err ~= nil then
      return
    end
  end
end

local function is_possible(account)
  local io = account.flow.io
  return io.after and not account.handler.in_request and not (io.refusal and io.refusal())
end

--- The work as a function without arguments, and the table that gets what came of it. It must not
--- look into the caller's coroutine by an upvalue: where ngx_lua drops that, all its variables
--- become nil. So it is made by a function that has returned when it runs.
local function new_task(waiter, fn, ...)
  local given, count = { ... }, select("#", ...)
  local outcome = { done = false }
  local function keep(...)
    outcome.ok, outcome.count = ..., select("#", ...)
    outcome.values, outcome.done = { ... }, true
  end
  return function()
    keep(protected(fn, unpack(given, 1, count)))
    if waiter then
      waiter:wake()
    end
  end, outcome
end

---@param account tokencache.Account
---@param deadline number    monotonic seconds: until when the caller waits
---@param fn function        called with the rest; what it raises, the caller raises
---@return boolean finished  false: it goes on without the caller
---@return any ...           what fn returned
return function(account, deadline, fn, ...)
  if not is_possible(account) then
    return true, fn(...)
  end
  local io, handler = account.flow.io, account.handler
  if handler.set_out then
    handler:set_out()
  end
  local waiter = io.new_waiter and io.new_waiter() or nil
  local task, outcome = new_task(waiter, fn, ...)
  if not io.after(0, task, task) then
    return true, fn(...) -- no timer is to be had
  end
  wait(io, waiter, deadline, outcome)
  if not outcome.done then
    return false
  elseif handler.come_back then
    handler:come_back()
  end
  if not outcome.ok then
    error(outcome.values[2], 0)
  end
  return true, unpack(outcome.values, 2, outcome.count)
end
