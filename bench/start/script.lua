--- What a program pays for tokencache before it does anything of its own.

local tokencache = require "tokencache"

local flow = tokencache.flow.client_credentials {
  provider = tokencache.provider.spotify,
  client_id = "bench",
  client_secret = "bench",
  cache = tokencache.cache.memory {
    token_info = { access_token = "access", expires_at = os.time() + 3600 },
  },
}
assert(flow:get_access_token() == "access")
