--- What this process takes of the machine, for tests in which that must not grow.

local process = require "support.process"

local footprint = {}

--- Resident memory in KiB, after a collection.
---@return integer
function footprint.memory()
  collectgarbage()
  collectgarbage()
  return tonumber(process.read_file("/proc/self/status"):match("VmRSS:%s+(%d+)"))
end

--- What Lua has of that, in KiB.
---@return number
function footprint.heap()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

--- Without a pipe, of which this process may have one end or both when they are counted.
---@return integer
function footprint.descriptors()
  local path = os.tmpname()
  os.execute("ls /proc/$PPID/fd | wc -l > " .. path)
  local count = tonumber(process.read_file(path))
  os.remove(path)
  return count
end

return footprint
