--- Keeps this process, and what it starts meanwhile, on one core: else the scheduler puts a server
--- and who talks to it on one core or on two as it likes, and a reply takes 20 us or 130.

local process = require "support.process"

---@param work fun()
return function(work)
  local pid = process.read_file("/proc/self/stat"):match("^%d+")
  local function taskset(...)
    local code, output = process.run { "taskset", "-c", "-p", ... }
    assert(code == 0, output)
    return output
  end
  local cores = taskset(pid):match("list: (%S+)")
  taskset(cores:match("(%d+)$"), pid)
  work()
  taskset(cores, pid)
end
