--- The bytes of an entry as a store is to show that it can take a new one in their place.

local BLANK = (" "):byte()
local SPARE = 1024 -- bytes that a new entry may have more than the one it replaces

--- The number of bytes before the blanks at the end.
local function stripped_length(bytes)
  local length = #bytes
  while length > 0 and bytes:byte(length) == BLANK do
    length = length - 1
  end
  return length
end

--- Returns the bytes with as many blanks at their end, which JSON ignores, as make them the size to
--- expect of a new entry. Blanks that are there already count.
---@param bytes string
---@return string
return function(bytes)
  local length = stripped_length(bytes)
  return bytes:sub(1, length) .. (" "):rep(SPARE)
end
