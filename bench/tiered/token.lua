--- A fresh token from a tiered handler, memory in front.

local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local cache = tokencache.cache.tiered {
  front = tokencache.cache.memory {},
  back = tokencache.cache.from_store(tokencache.store.memory(), "bench"),
}
assert(cache:save_token_to_cache(token_info))
require("bench.take").token(cache)
