--- What a store or a cache handler is known by.
---@param object table|userdata
---@return any  a string that others for the same storage have too, or an object; default: itself
return function(object)
  local identity = object.identity
  if identity == nil then
    return object
  end
  return identity
end
