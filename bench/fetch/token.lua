--- A new token each time, from the token endpoint named by the argument.

local tokencache = require "tokencache"

local flow = tokencache.flow.client_credentials {
  provider = { token_url = arg[1] },
  client_id = arg[2],
  client_secret = arg[3],
  cache = tokencache.cache.memory(),
}

require "bench.contestant"(function(times)
  for _ = 1, times do
    assert(flow:get_access_token { check_cache = false })
  end
end)
