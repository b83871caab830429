--- A gateway under load, all real: an authorization server whose tokens last seconds, and nginx
--- with tokencache, whose token is in Redis.
---
---     local gateway = loaded_gateway.start { token_lifetime = 5, leeway = 2 }
---     local load = gateway:begin_load("/", 12)   -- seconds; or with { "-H", "..." }, for wrk
---     gateway:kill_renewing_worker()
---     gateway:tokens()  gateway:stop()           -- and so on, as support.loaded has it

local loaded = require "support.loaded"
local loads = require "support.loads"
local nginx = require "support.nginx"

local loaded_gateway = {
  LOCK = "tokencache-lock:gateway", -- the Redis key, while the token is renewed
}

local HTTP = loaded.HTTP .. [[
  lua_shared_dict tokens 1m;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache = tokencache.cache
    flow = tokencache.flow.client_credentials {
      provider = { token_url = "$PROVIDER/token" },
      client_id = "$ID",
      client_secret = "$SECRET",
      leeway = $LEEWAY,
      cache = cache.tiered {
        front = cache.from_store(tokencache.store.shared_dict(ngx.shared.tokens, { evict = true }),
          "gateway"),
        back = cache.redis { port = $REDIS, key = "gateway" },
        leeway = $LEEWAY,
      },
      http = $TRANSPORT,
    }
  }
]]

local SERVER = [[
  location / {
    set_by_lua_block $access_token { return (flow:peek_access_token()) }
    if ($access_token = "") {
      access_by_lua_block {
        local token, err = flow:get_access_token()
        if not token then
          ngx.log(ngx.ERR, err.kind, ": ", err)
          return ngx.exit(503)
        end
        ngx.var.access_token = token
      }
    }
    proxy_set_header Authorization "Bearer $access_token";
]] .. loaded.LOCATION .. "}"

---@class LoadedGateway: LoadedScene
local Gateway = setmetatable({}, { __index = loaded.methods })
Gateway.__index = Gateway

---@param settings { token_lifetime: integer, leeway: number, workers?: integer }  seconds
---@return LoadedGateway
function loaded_gateway.start(settings)
  local self = loaded.new(settings.token_lifetime, Gateway)
  local client = self.provider.clients.basic
  self.server = nginx.start {
    workers = settings.workers or 4,
    http = HTTP,
    server = SERVER,
    values = {
      UPSTREAM = self.upstream.port, PROVIDER = self.provider.url, REDIS = self.redis.port,
      LEEWAY = settings.leeway, TRANSPORT = loads.TRANSPORT,
      ID = client.client_id, SECRET = client.client_secret,
    },
  }
  return self
end

--- Kills the worker that renews the token, in the midst of it.
---@return integer connections  that ended with it
---@return integer left  milliseconds that the lock it held has left
function Gateway:kill_renewing_worker()
  local pid = loads.freeze_renewing_worker(self.provider)
  local left = self.redis:cli("PTTL", loaded_gateway.LOCK)
  return loads.kill_worker(self.server, pid), tonumber(left)
end

return loaded_gateway
