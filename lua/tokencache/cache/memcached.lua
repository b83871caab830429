--- Keeps a token in memcached, as JSON under a key, as spotipy does and in the same format.

local core = require "tokencache._core"
local memcached_key = require "tokencache.store.memcached_key"
local memcached_options = require "tokencache.store.memcached_options"
local new_store = require "tokencache.store.memcached_base"
local of_server = require "tokencache.cache.of_server"

local LONGEST_IN_SECONDS = 60 * 60 * 24 * 30 -- memcached takes a larger number for a date
local LAST_DATE = 2 ^ 31 - 1                 -- in Unix seconds, that memcached knows

local function put(client, key, bytes, ttl)
  local expiry = ttl and math.max(1, math.ceil(ttl))
  if expiry and expiry > LONGEST_IN_SECONDS then
    expiry = math.floor(core.now()) + expiry
  end
  if not expiry or expiry > LAST_DATE then
    return client:set(key, bytes)
  end
  return client:set(key, bytes, expiry)
end

--- Clients differ in what they do with a key that memcached does not take.
local function client_key(key)
  local place, err = memcached_key.place(key)
  if not place then
    error("cache.memcached: " .. tostring(err), 3)
  end
  return place
end

---@class tokencache.MemcachedCacheOptions: tokencache.MemcachedOptions
---@field key? string|string[]    default "token_info"
---@field ttl? number             seconds to keep any entry, instead of as long as it is of use
---@field client? table|userdata  a memcached client with get and set(key, bytes, exptime), in
---                               place of all but key and ttl

--- Makes a handler for servers, or over a client object of the program's own.
---@type fun(opts?: tokencache.MemcachedCacheOptions): tokencache.StoreHandler
return of_server("cache.memcached", {
  options = memcached_options,
  new_store = new_store,
  put = put,
  remover = "delete",
  client_key = client_key,
})
