--- Asks whether somebody who wrote a name has meant another one.

local function without(text, i)
  return text:sub(1, i - 1) .. text:sub(i + 1)
end

--- One letter is missing, too many or another one, or two have changed places.
local function is_near(one, other)
  for i = 1, #one + 1 do
    for j = 1, #other + 1 do
      if without(one, i) == without(other, j) then
        return true
      end
    end
  end
  return false
end

--- "clientId" is "client_id".
local function folded(name)
  return (name:lower():gsub("[_-]", ""))
end

---@param wrong string
---@param names string[]
---@return string?  the end of a message; nil: none of the names is near
return function(wrong, names)
  local near = {}
  for _, name in ipairs(names) do
    near[#near + 1] = is_near(folded(wrong), folded(name)) and name or nil
  end
  return near[1] and "; did you mean " .. table.concat(near, " or ") .. "?" or nil
end
