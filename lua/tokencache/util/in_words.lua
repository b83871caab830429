--- What a value is, for messages: "nil", "a string". Only numbers are ever quoted: anything else
--- may be a secret.

---@param value any
---@param is_quoted? boolean  a number as it is
---@return string
return function(value, is_quoted)
  if value == nil then
    return "nil"
  elseif is_quoted and type(value) == "number" then
    return value == value and tostring(value) or "NaN" -- else "nan" here and "-nan" there
  end
  return "a " .. type(value)
end
