--- A gateway under load, all real: an authorization server whose tokens last seconds, Redis, nginx
--- with tokencache, and behind it a resource server (another nginx) that refuses every token which
--- the authorization server does not call active, or whose end has come.
---
---     local gateway = loaded_gateway.start { token_lifetime = 5, leeway = 2 }
---     gateway:begin_load(12)           -- seconds; or with { "-H", "Connection: close" }, for wrk
---     local report = gateway:end_load()
---     gateway:tokens()                 -- those that were sent upstream
---     gateway.server, gateway.redis, gateway.provider
---     gateway:stop()

local loads = require "support.loads"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"

local redis_server = require "support.redis_server"

local loaded_gateway = {
  LOCK = "tokencache-lock:gateway", -- the Redis key, while the token is renewed
}

local UPSTREAM_HTTP = [[
  lua_shared_dict tokens 1m;
  keepalive_requests 100000000;
]]

local UPSTREAM = [[
  location / { content_by_lua_block { require("support.resource_server").serve("$PROVIDER") } }
  location /tokens { content_by_lua_block { require("support.resource_server").report() } }
]]

local HTTP = [[
  lua_shared_dict tokens 1m;
  keepalive_requests 100000000;
  upstream resource { server 127.0.0.1:$UPSTREAM; keepalive 100; keepalive_requests 100000000; }
  proxy_http_version 1.1;
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
    proxy_set_header Connection "";
    proxy_pass http://resource;
  }
]]

---@class LoadedGateway
---@field server Nginx
---@field redis RedisServer
---@field provider OidcProvider
local Gateway = {}
Gateway.__index = Gateway

---@param settings { token_lifetime: integer, leeway: number, workers?: integer }  seconds
---@return LoadedGateway
function loaded_gateway.start(settings)
  local self = setmetatable({
    provider = oidc_provider.start { token_lifetime = settings.token_lifetime },
    redis = redis_server.start(),
  }, Gateway)
  self.upstream = nginx.start {
    http = UPSTREAM_HTTP,
    server = UPSTREAM,
    values = { PROVIDER = self.provider.url },
  }
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

--- As fast as requests are answered.
---@param seconds number
---@param arguments? string[]  more of wrk's
function Gateway:begin_load(seconds, arguments)
  self.load = loads.begin(("http://127.0.0.1:%d/"):format(self.server.port), seconds, arguments)
end

---@return LoadReport
function Gateway:end_load()
  return self.load:finish()
end

--- What the resource server has seen.
---@return SeenToken[]
---@return integer refused
function Gateway:tokens()
  return loads.tokens(self.upstream)
end

--- Kills the worker that renews the token, in the midst of it.
---@return integer connections  that ended with it
---@return integer left  milliseconds that the lock it held has left
function Gateway:kill_renewing_worker()
  local pid = loads.freeze_renewing_worker(self.provider)
  local left = self.redis:cli("PTTL", loaded_gateway.LOCK)
  return loads.kill_worker(self.server, pid), tonumber(left)
end

function Gateway:stop()
  if self.load then
    self.load:stop()
  end
  local ok, problem = pcall(self.server.stop, self.server, "QUIT")
  self.upstream:stop()
  self.redis:stop()
  self.provider:stop()
  assert(ok, problem)
end

return loaded_gateway
