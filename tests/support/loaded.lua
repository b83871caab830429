--- What the gateways under load have in common: an authorization server whose tokens last seconds,
--- Redis, and a resource server that refuses every token which is not active, or not the user's.
--- loaded_gateway.lua and loaded_login.lua put an nginx before it.

local loads = require "support.loads"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local redis_server = require "support.redis_server"

local UPSTREAM_HTTP = [[
  lua_shared_dict tokens 1m;
  keepalive_requests 100000000;
]]

local UPSTREAM = [[
  location / { content_by_lua_block { require("support.resource_server").serve("$PROVIDER") } }
  location /tokens { content_by_lua_block { require("support.resource_server").report() } }
  location /any_token { return 200 "here"; }
]]

---@class LoadedScene
---@field server Nginx      the gateway
---@field redis RedisServer
---@field provider OidcProvider
---@field upstream Nginx
---@field loads Load[]
local Scene = {}
Scene.__index = Scene

local loaded = {
  methods = Scene,
  --- For the gateway: passes requests on to http://resource
  HTTP = [[
    keepalive_requests 100000000;
    upstream resource { server 127.0.0.1:$UPSTREAM; keepalive 100; keepalive_requests 100000000; }
    proxy_http_version 1.1;
  ]],
  LOCATION = [[
    proxy_set_header Connection "";
    proxy_set_header X-Sent $msec;
    proxy_pass http://resource;
  ]],
}

---@param token_lifetime integer  seconds
---@param class table
---@return LoadedScene
function loaded.new(token_lifetime, class)
  local self = setmetatable({
    provider = oidc_provider.start { token_lifetime = token_lifetime },
    redis = redis_server.start(),
    loads = {},
  }, class)
  self.upstream = nginx.start {
    http = UPSTREAM_HTTP,
    server = UPSTREAM,
    values = { PROVIDER = self.provider.url },
  }
  return self
end

--- As fast as requests are answered.
---@param path string
---@param seconds number
---@param arguments? string[]  more of wrk's
---@return Load
function Scene:begin_load(path, seconds, arguments)
  local load = loads.begin(("http://127.0.0.1:%d%s"):format(self.server.port, path), seconds,
    arguments)
  self.loads[#self.loads + 1] = load
  return load
end

--- What the resource server has seen.
---@return SeenToken[]
---@return integer refused
function Scene:tokens()
  return loads.tokens(self.upstream)
end

function Scene:stop()
  for _, load in ipairs(self.loads) do
    load:stop()
  end
  local ok, problem = pcall(self.server.stop, self.server, "QUIT")
  self.upstream:stop()
  self.redis:stop()
  self.provider:stop()
  assert(ok, problem)
end

return loaded
