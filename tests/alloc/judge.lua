-- What the scenarios make of results, while allocations fail; see alloc.c.

local judge = {}

--- Raises what went wrong instead of a result.
function judge.check(result, err)
  if result == nil then
    error(tostring(err), 0)
  end
  return result
end

--- Likewise; and memory is no excuse for another result than the one wanted, which may be nil.
function judge.expect(wanted, got, err)
  if got == nil and err ~= nil then
    error(tostring(err), 0)
  elseif got ~= wanted then
    error("WRONG: " .. tostring(got), 0)
  end
end

--- For a call that looks up a name: where there is no memory, glibc says other things, too.
---@param call fun()
---@param saying string  a part of them
function judge.look_up(call, saying)
  local ok, problem = pcall(call)
  if not ok then
    error(problem:find(saying, 1, true) and "not enough memory" or problem, 0)
  end
end

return judge
