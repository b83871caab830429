--- Keeps bytes in memcached servers, with a lock for each key.

local base = require "tokencache.store.memcached_base"
local memcached_options = require "tokencache.store.memcached_options"

--- Nothing is connected until the store is used. Stores with the same options share connections.
---@param opts? tokencache.MemcachedOptions
---@return tokencache.MemcachedStore
return function(opts)
  return base(memcached_options.check("store.memcached", opts))
end
