--- Keeps bytes in a Redis server, with a lock for each key.

local base = require "tokencache.store.redis_base"
local redis_options = require "tokencache.store.redis_options"

--- Nothing is connected until the store is used. Stores with the same options share a connection.
---@param opts? tokencache.RedisOptions
---@return tokencache.RedisStore
return function(opts)
  return base(redis_options.check("store.redis", opts))
end
