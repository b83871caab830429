--- Numbers that a seed determines, the same on every Lua (Park and Miller's generator).

local Random = {}
Random.__index = Random

local MODULUS = 2147483647

--- From zero up to one.
---@return number
function Random:number()
  self.state = self.state * 48271 % MODULUS
  return self.state / MODULUS
end

---@param probability number
---@return boolean
function Random:chance(probability)
  return self:number() < probability
end

---@return number  from low up to high
function Random:between(low, high)
  return low + (high - low) * self:number()
end

---@return integer  low to high, both included
function Random:integer(low, high)
  return low + math.floor((high - low + 1) * self:number())
end

--- One of a list.
function Random:pick(list)
  return list[self:integer(1, #list)]
end

--- One of a list of { weight, value } pairs.
function Random:weighted(pairs_)
  local sum = 0
  for _, pair in ipairs(pairs_) do
    sum = sum + pair[1]
  end
  local left = sum * self:number()
  for _, pair in ipairs(pairs_) do
    left = left - pair[1]
    if left < 0 then
      return pair[2]
    end
  end
  return pairs_[#pairs_][2]
end

---@param seed integer
return function(seed)
  local self = setmetatable({ state = seed * 69621 % (MODULUS - 1) + 1 }, Random)
  for _ = 1, 3 do
    self:number()
  end
  return self
end
