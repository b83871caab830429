--- Sends work that blocks to a thread pool of nginx, as data; only the coroutine that asked waits.

local core = require "tokencache._core"
local errors = require "tokencache.error"
local ngx = require("tokencache.environment").nginx
local phase = require "tokencache.nginx.phase"
local protected = require "tokencache.util.protected"

local NO_STATE = "no available Lua vm" -- as ngx_lua puts it: all of the pool's are at work
local NO_ROOM = "ngx_thread_task_post failed"
local FIRST_PAUSE = 0.001 -- seconds before it is asked again; doubled each time
local LONGEST_PAUSE = 0.05
local LONGEST_WAIT = 30
local LONGEST_CALL = 3600 -- seconds, far longer than any takes

local pool = {
  name = "tokencache", -- of the directive thread_pool
}

--- What to do in stream {}, where there are no threads, by what a thread would be needed for.
local instead = {
  http = 'give the flow http = require("tokencache.transport.resty_http").new()',
  redis = "connect to Redis by its name, without ca_file and cert_file",
}

local function not_in_stream(worker)
  return errors.new("config", "nginx has no threads for Lua in stream {}; " .. (instead[worker]
    or "keep tokens there in a shared dictionary or in Redis"), { sent = false })
end

local function not_run(message)
  local kind = "config"
  if type(message) == "string" and message:find("not found", 1, true)
    and message:find("thread pool", 1, true) then
    message = ("nginx has no thread pool to wait in; add \"thread_pool %s threads=16;\" at the top "
      .. "level of nginx.conf, outside of http {}"):format(pool.name)
  elseif message == NO_STATE then
    kind = "transient"
    message = ("all Lua states of nginx's thread pools stayed busy; try again later, or give the "
      .. "pool %s more threads, and set lua_worker_thread_vm_pool_size to no fewer than all pools "
      .. "have"):format(pool.name)
  elseif message == NO_ROOM then
    kind = "transient"
    message = ("the queue of nginx's thread pool %s is full; try again later, or give it more "
      .. "threads or a larger max_queue"):format(pool.name)
  end
  return errors.new(kind, message, { sent = false })
end

--- A metatable stays behind on the way from the thread.
local function received(ok, result, err, more)
  if not ok then
    error(result, 0)
  end
  if result == nil and type(err) == "table" then
    return nil, core.as_error(err)
  end
  return result, err, more
end

local function run(...)
  return ngx.run_worker_thread(pool.name, "tokencache.nginx.thread", "call", ...)
end

local function sleep()
  ngx.sleep(LONGEST_CALL)
end

--- Runs it where no client waits. A worker that is to end does so as soon as nothing is timed, and
--- does not wait for threads: so something is.
local function run_in_timer(...)
  local sleeping = ngx.thread.spawn(sleep)
  local function finish(has_run, ...)
    ngx.thread.kill(sleeping)
    if not has_run then
      error(..., 0)
    end
    return ...
  end
  return finish(protected(run, ...))
end

--- Calls a function of `tokencache.worker.<worker>` in a thread.
---@param worker string
---@param name string
---@param ... any  plain data
---@return any ...  up to three results; nil, err also where no thread could be had
function pool.call(worker, name, ...)
  local refusal = phase.refusal()
  if refusal then
    return nil, refusal
  elseif phase.is_stream() then
    return nil, not_in_stream(worker)
  elseif not ngx.run_worker_thread then
    return nil, not_run("this nginx has no threads for Lua; it takes ngx_lua 0.10.23 or later, and "
      .. "an nginx built with --with-threads")
  end
  local call = ngx.get_phase() == "timer" and run_in_timer or run
  local pause, waited = FIRST_PAUSE, 0
  while true do
    local ran, ok, result, err, more = call(worker, name, ...)
    if ran then
      return received(ok, result, err, more)
    elseif ok ~= NO_STATE or waited >= LONGEST_WAIT then
      return nil, not_run(ok)
    end
    ngx.sleep(pause)
    waited, pause = waited + pause, math.min(2 * pause, LONGEST_PAUSE)
  end
end

--- The functions of a worker module, each of which runs in a thread.
---@param worker string
---@return table<string, function>
function pool.worker(worker)
  return setmetatable({}, {
    __index = function(self, name)
      local function call(...)
        return pool.call(worker, name, ...)
      end
      rawset(self, name, call)
      return call
    end,
  })
end

return pool
