--- What coroutines of a worker wait for, be they of one request or of many: a semaphore of ngx_lua.

local phase = require "tokencache.nginx.phase"

---@class tokencache.NginxWaiter: tokencache.Waiter
---@field private semaphore table
---@field private woken boolean
local Waiter = {}
Waiter.__index = Waiter

local semaphores -- the module; false: there is none

--- It is part of lua-resty-core, which an nginx of one's own may be without.
local function load_semaphores()
  local find = package.searchpath -- luacheck: ignore 143
  if package.loaded["ngx.semaphore"] or find("ngx.semaphore", package.path) then
    return require "ngx.semaphore"
  end
  return false
end

---@param seconds number
---@return boolean  false: it was not woken in that time, or one cannot wait here
function Waiter:wait(seconds)
  if self.woken then
    return true
  elseif phase.refusal() then
    return false
  end
  return self.semaphore:wait(math.max(0, seconds)) == true
end

--- Wakes all who wait; from now on nobody is kept waiting.
function Waiter:wake()
  self.woken = true
  local waiting = -self.semaphore:count()
  if waiting > 0 then
    self.semaphore:post(waiting)
  end
end

--- Returns nil where there are no semaphores.
---@return tokencache.NginxWaiter?
return function()
  if semaphores == nil then
    semaphores = load_semaphores()
  end
  local semaphore = semaphores and semaphores.new()
  return semaphore and setmetatable({ semaphore = semaphore, woken = false }, Waiter) or nil
end
