--- Keeps a token in Redis, as JSON under a key, as spotipy does and in the same format.

local new_store = require "tokencache.store.redis_base"
local of_server = require "tokencache.cache.of_server"
local redis_options = require "tokencache.store.redis_options"

--- SETEX is what Redis clients have in common. Without it the entry stays for good.
local function put(client, key, bytes, ttl)
  if ttl and client.setex ~= nil then
    return client:setex(key, math.max(1, math.ceil(ttl)), bytes)
  end
  return client:set(key, bytes)
end

---@class tokencache.RedisCacheOptions: tokencache.RedisOptions
---@field key? string|string[]    default "token_info"
---@field ttl? number             seconds to keep any entry, instead of as long as it is of use
---@field client? table|userdata  a Redis client with get and set, in place of all but key and ttl

--- Makes a handler for a server, or over a client object of the program's own.
---@type fun(opts?: tokencache.RedisCacheOptions): tokencache.StoreHandler
return of_server("cache.redis", {
  options = redis_options,
  new_store = new_store,
  put = put,
  remover = "del",
})
