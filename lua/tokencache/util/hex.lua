local DIGITS = setmetatable({}, { -- by byte
  __index = function(self, byte)
    self[byte] = ("%02x"):format(byte:byte())
    return self[byte]
  end,
})

--- Two hexadecimal digits for each byte.
---@param bytes string
---@return string
return function(bytes)
  return (bytes:gsub(".", DIGITS))
end
