--- The other end of tokencache.nginx.pool: runs in a thread, in a Lua state of the pool's, which
--- goes from call to call and keeps the connections that the worker modules leave in it.

local thread = {}

local function call(worker, name, ...)
  return require("tokencache.worker." .. worker)[name](...)
end

--- nginx takes nothing for an error but a string.
local function outcome(ok, result, ...)
  if not ok then
    return false, tostring(result)
  end
  return true, result, ...
end

---@param worker string
---@param name string
---@param ... any
---@return boolean ok
---@return any ...  results, or what was raised
function thread.call(worker, name, ...)
  return outcome(pcall(call, worker, name, ...))
end

return thread
