--- Many measurements in three numbers.

local summary = {}

---@class Summary
---@field median number
---@field min number
---@field max number

---@param values number[]
---@return Summary
function summary.of(values)
  local sorted = {}
  for i, value in ipairs(values) do
    sorted[i] = value
  end
  table.sort(sorted)
  local below, above = math.floor((#sorted + 1) / 2), math.ceil((#sorted + 1) / 2)
  return {
    median = (sorted[below] + sorted[above]) / 2,
    min = sorted[1],
    max = sorted[#sorted],
  }
end

local function by_round(as, bs, combine)
  local values = {}
  for round, a in ipairs(as) do
    values[round] = combine(a, bs[round])
  end
  return summary.of(values)
end

--- Of a / b within each round.
---@return Summary
function summary.ratios(as, bs)
  return by_round(as, bs, function(a, b)
    return a / b
  end)
end

--- Of a - b within each round.
---@return Summary
function summary.differences(as, bs)
  return by_round(as, bs, function(a, b)
    return a - b
  end)
end

return summary
