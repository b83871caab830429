--- Reads an entry of any store.
---@param store tokencache.Store
---@param key string
---@param anew? boolean  a copy that may be out of date will not do; only a store that may have one
---                      is told
---@return any bytes
---@return any err
return function(store, key, anew)
  if anew and store.may_be_stale then
    return store:get(key, true)
  end
  return store:get(key)
end
