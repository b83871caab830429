--- Where work is done that blocks its thread: here, or under nginx in a thread pool. The modules of
--- `tokencache.worker` hold such work, as functions that take plain data, strings, numbers,
--- booleans, nil and tables of these, and return up to three results of such, or nil and an error.

local environment = require "tokencache.environment"

local blocking = {}

---@param name string  of a module in tokencache.worker
---@return table<string, function>
---@return boolean here  in this Lua state
function blocking.worker(name)
  if environment.nginx then
    return require("tokencache.nginx.pool").worker(name), false
  end
  return require("tokencache.worker." .. name), true
end

return blocking
