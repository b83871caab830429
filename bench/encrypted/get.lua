--- A token read from a store in memory; sealed there if the argument is "sealed".

local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local store = tokencache.store.memory()
if arg[1] == "sealed" then
  store = tokencache.store.encrypted(store, { keys = { a = ("secret"):rep(6) }, use = "a" })
end
local cache = tokencache.cache.from_store(store, "bench")
assert(cache:save_token_to_cache(token_info))
require("bench.take").token_info(cache)
