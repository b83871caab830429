--- A flow's cache is in a server that ends while the flow's token is on its way. The flow has the
--- token nevertheless, and the cache as soon as the server is back.

local assert = require "luassert"
local keep_log = require "support.keep_log"
local tokencache = require "tokencache"

---@param server RedisServer|MemcachedServer
---@param cache table|userdata  over that server
---@return string said  to the log before the server was back
return function(server, cache)
  local logged = keep_log()
  local flow = tokencache.flow.client_credentials {
    provider = { token_url = "https://127.0.0.1/token" }, client_id = "c", client_secret = "s3cr",
    cache = cache,
    http = { request = function()
      server:kill()
      return { status = 200,
        body = '{"access_token":"fetched","token_type":"Bearer","expires_in":3600}' }
    end },
  }
  assert.equal("fetched", flow:get_access_token()) -- neither saved nor unlocked
  local said = table.concat(logged, "\n")
  assert.truthy(said:find("error the token could not be saved", 1, true), said)
  server:restart()
  assert.equal("fetched", flow:get_access_token())
  assert.equal("fetched", cache:get_cached_token().access_token)
  return said
end
