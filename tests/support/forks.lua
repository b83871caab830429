--- Forks of a process that holds a store's connection.

local unix = require "support.unix"

local forks = {}

--- Sets and gets values of the process's own; whether they came back.
local function works(store, mine)
  for i = 1, 3 do
    local value = mine .. "-" .. i
    if not (store:set("key of " .. mine, value) and store:get("key of " .. mine) == value) then
      return false
    end
  end
  return true
end

--- Forks `count` children, up to twenty at a time, which all use the store, as the parent does.
---@param store tokencache.Store
---@param count integer
---@return integer failed  processes to whom something else than theirs came back
function forks.crossed(store, count)
  local running, failed = {}, works(store, "the parent") and 0 or 1
  local function reap()
    failed = failed + (unix.wait(table.remove(running, 1)) == 0 and 0 or 1)
  end
  for number = 1, count do
    local pid = unix.fork()
    if pid == 0 then
      unix.exit(works(store, "child " .. number) and 0 or 1)
    end
    running[#running + 1] = pid
    failed = failed + (works(store, "the parent") and 0 or 1)
    if #running == 20 then
      reap()
    end
  end
  while #running > 0 do
    reap()
  end
  return failed
end

--- Runs `fn` in a child; its exit status is 0 where that returned something true.
---@param fn fun(): any
---@return integer
function forks.run(fn)
  local pid = unix.fork()
  if pid == 0 then
    local ok, result = pcall(fn)
    unix.exit(ok and result and 0 or 1)
  end
  return unix.wait(pid)
end

return forks
