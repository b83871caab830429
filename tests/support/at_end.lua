--- What a test undoes at its end, whatever becomes of it. Of several `finally` in one test, or in
--- what it calls, busted runs the last one alone; here each function is called, the last first.
---
---     local at_end = require("support.at_end")()   -- in the describe, or in the file
---     at_end(function() child:stop() end)          -- in a test, or in a function of its file

local busted = require "busted"

---@return fun(undo: fun())
return function()
  local undone = {}

  busted.after_each(function()
    local problems = {}
    while undone[1] do
      local ok, problem = pcall(table.remove(undone))
      problems[#problems + 1] = not ok and tostring(problem) or nil
    end
    assert(not problems[1], table.concat(problems, "\n"))
  end)

  return function(undo)
    undone[#undone + 1] = undo
  end
end
