--- Coroutines, for specs of what may yield and of what goes on at the same time.

local threads = {}

--- Runs a function as a coroutine to its end.
---@return string yielded  joined by spaces
---@return any, any        what the function returned
function threads.run(fn)
  local yielded = {}
  local thread = coroutine.create(fn)
  while true do
    local ok, first, second = coroutine.resume(thread)
    assert(ok, first)
    if coroutine.status(thread) == "dead" then
      return table.concat(yielded, " "), first, second
    end
    yielded[#yielded + 1] = first
  end
end

--- Resumes coroutines in an order of chance until all are dead.
---@param all thread[]
---@param random fun(limit: integer): integer
function threads.interleave(all, random)
  while #all > 0 do
    local i = random(#all)
    assert(coroutine.resume(all[i]))
    if coroutine.status(all[i]) == "dead" then
      table.remove(all, i)
    end
  end
end

--- Park and Miller's generator: the same on all Luas.
---@param seed integer
---@return fun(limit: integer): integer  from 1 to limit
function threads.random_numbers(seed)
  return function(limit)
    seed = seed * 16807 % 2147483647
    return seed % limit + 1
  end
end

return threads
