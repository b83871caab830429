--- A flow that never has to ask for a token, over a cache that holds bench.token_info.

local tokencache = require "tokencache"

---@param cache table|userdata
return function(cache)
  return tokencache.flow.client_credentials {
    provider = tokencache.provider.spotify,
    client_id = "bench",
    client_secret = "bench",
    cache = cache,
  }
end
