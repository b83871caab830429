--- Reports whether bytes say nothing: there are none, or only blanks, or the zeros that some file
--- systems leave after a crash.
---@param bytes string
---@return boolean
return function(bytes)
  return bytes:find("^[%s%z]*$") ~= nil
end
