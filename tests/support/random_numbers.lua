--- Park and Miller's generator: the same numbers on all Luas.
---
---     local random = random_numbers(seed)
---     random(6)   -- 1 to 6

---@param seed integer  1 to 2147483646
---@return fun(limit: integer): integer
return function(seed)
  return function(limit)
    seed = seed * 16807 % 2147483647
    return math.floor(seed / 2147483647 * limit) + 1
  end
end
