--- A contestant's half of a contest. For each line with a number on stdin it does its work that
--- many times, and answers with the seconds this took: those that `work` returns, or all.

local clock = require("tokencache._core").monotonic

---@param work fun(times: integer): number?
return function(work)
  io.stdout:setvbuf("line")
  for line in io.lines() do
    local times = tonumber(line)
    work(math.ceil(times / 10)) -- the caches are still full of what the others did
    local start = clock()
    local seconds = work(times)
    io.write(("%.9f\n"):format(seconds or clock() - start))
  end
end
