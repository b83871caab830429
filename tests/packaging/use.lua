-- Run from an empty directory, with nothing but the installed tree to be found.
local tokencache = require "tokencache"
local token_info = { access_token = "a-token", expires_at = 2000000000, nested = { 1, 2 } }
local writer = tokencache.cache.file { cache_path = "cache" }
assert(writer:save_token_to_cache(token_info))
local found = assert(tokencache.cache.file({ cache_path = "cache" }):get_cached_token())
assert(found.access_token == "a-token" and found.nested[2] == 2)

-- a flow with a transport of one's own needs no libcurl either
local flow = tokencache.flow.client_credentials {
  provider = { token_url = "https://127.0.0.1/token" },
  client_id = "id",
  client_secret = "secret",
  cache = tokencache.cache.file { cache_path = "other" },
  http = {
    request = function()
      return { status = 200, headers = {},
        body = '{"access_token":"fetched","token_type":"Bearer","expires_in":3600}' }
    end,
  },
}
assert(flow:get_access_token() == "fetched")
