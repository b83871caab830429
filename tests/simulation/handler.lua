--- Cache handlers of a user's own over the virtual store, as handlers.md shows the simplest ones:
--- they save whatever is there, and are made anew for each call.

local json = require "tokencache.json"

local Handler = {}

function Handler:get_cached_token()
  local bytes, err = self.store:get(self.key)
  if bytes == nil then
    return nil, err
  end
  return json.decode(bytes)
end

function Handler:save_token_to_cache(info)
  return self.store:set(self.key, json.encode(info))
end

function Handler:remove_cached_token()
  return self.store:delete(self.key)
end

local Locking = setmetatable({}, { __index = Handler })

function Locking:try_lock(ttl)
  return self.store:try_lock(self.key, ttl)
end

function Locking:extend_lock(handle, ttl)
  return self.store:extend_lock(handle, ttl)
end

function Locking:unlock(handle)
  return self.store:unlock(handle)
end

---@param store table  a virtual one
---@param key string
return function(store, key)
  return setmetatable({ store = store, key = key, identity = "the handler of " .. key },
    { __index = store.try_lock and Locking or Handler })
end
