--- What is wrong with an object as a store, in words; nil: nothing.
---@param store any
---@return string? problem
return function(store)
  if type(store) ~= "table" and type(store) ~= "userdata" then
    return "store must be a table or userdata, not a " .. type(store)
  end
  if store.get_cached_token ~= nil and store.get == nil then
    return "store is a cache handler, which keeps one token; use one of tokencache.store"
  end
  if store.get == nil or store.set == nil then
    return "store has no method " .. (store.get == nil and "get" or "set")
      .. "; use one of tokencache.store, or give yours get and set"
  end
end
