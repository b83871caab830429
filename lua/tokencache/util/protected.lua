--- pcall for functions of the user's, which may yield: Lua 5.1 cannot yield across its own pcall.

local environment = require "tokencache.environment"

local function forward(thread, ok, ...)
  if ok and coroutine.status(thread) == "suspended" then
    return forward(thread, coroutine.resume(thread, coroutine.yield(...)))
  end
  return ok, ...
end

--- A coroutine of Lua 5.1 begins with a function of Lua's.
local function call(fn, ...)
  return fn(...)
end

--- Runs the function in a coroutine and hands its yields on.
local function in_coroutine(...)
  local thread = coroutine.create(call)
  return forward(thread, coroutine.resume(thread, ...))
end

--- Under nginx there is LuaJIT, which can, and no coroutine may run while a module is loaded.
local function yields_across_pcall()
  if environment.nginx then
    return true
  end
  local probe = coroutine.create(function()
    pcall(coroutine.yield)
  end)
  coroutine.resume(probe)
  return coroutine.status(probe) == "suspended"
end

---@type fun(fn: function, ...: any): boolean, any  as pcall
return yields_across_pcall() and pcall or in_coroutine
