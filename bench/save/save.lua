--- Saves a token to the file named by the argument.

local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local cache = tokencache.cache.file { cache_path = arg[1] }

require "bench.contestant"(function(times)
  for _ = 1, times do
    assert(cache:save_token_to_cache(token_info))
  end
end)
