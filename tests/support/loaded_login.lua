--- The login gateway under load, all real: users of an authorization server whose tokens last
--- seconds, their sessions in Redis, nginx with tokencache.nginx.login, and behind it a resource
--- server that refuses every token which is not the user's, or not active.
---
---     local scene = loaded_login.start { token_lifetime = 5, options = { timeout = 3 } }
---     local users = scene:log_in { "ann", "bob" }
---     local load = scene:begin_load(users, 12)   -- and more arguments of wrk's
---     local report = load:finish()
---     scene:tokens()               -- as loads.tokens
---     scene:renewals()             -- how many there were
---     scene.server, scene.redis, scene.provider
---     scene:stop()

local folder = require "support.folder"
local loads = require "support.loads"
local login_gateway = require "support.login_gateway"
local merged = require "support.merged"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local redis_server = require "support.redis_server"

local loaded_login = {}

local UPSTREAM_HTTP = [[
  lua_shared_dict tokens 1m;
  keepalive_requests 100000000;
]]

local UPSTREAM = [[
  location / { content_by_lua_block { require("support.resource_server").serve("$PROVIDER") } }
  location /tokens { content_by_lua_block { require("support.resource_server").report() } }
  location /any_token { return 200 "here"; }
]]

local HTTP = [[
  keepalive_requests 100000000;
  upstream resource { server 127.0.0.1:$UPSTREAM; keepalive 100; keepalive_requests 100000000; }
  proxy_http_version 1.1;
]]

local SERVER = [[
  location /auth/ { content_by_lua_block { gateway:serve() } }
  location / {
    access_by_lua_block { gateway:require_user() }
    proxy_set_header Connection "";
    proxy_pass http://resource;
  }
]]

---@class LoadedLogin
---@field server Nginx
---@field redis RedisServer
---@field provider OidcProvider
local Scene = {}
Scene.__index = Scene

---@param settings { token_lifetime: integer, options?: table<string, any> }  options: as for
---   login_gateway.start
---@return LoadedLogin
function loaded_login.start(settings)
  local self = setmetatable({
    provider = oidc_provider.start { token_lifetime = settings.token_lifetime },
    redis = redis_server.start(),
    directory = folder.new(),
    loads = {},
  }, Scene)
  self.upstream = nginx.start {
    http = UPSTREAM_HTTP,
    server = UPSTREAM,
    values = { PROVIDER = self.provider.url },
  }
  self.gateway = login_gateway.start(self.provider, merged({
    store = ("tokencache.store.redis { port = %d }"):format(self.redis.port),
    http = loads.TRANSPORT,
  }, settings.options), {
    workers = 4, http = HTTP, server = SERVER, values = { UPSTREAM = self.upstream.port },
  })
  self.server = self.gateway.server
  return self
end

---@param names string[]
---@return table[]  browsers: see support.login_gateway
function Scene:log_in(names)
  local browsers = {}
  for i, name in ipairs(names) do
    browsers[i] = self.gateway:new_browser()
    browsers[i]:log_in(name, "/any_token")
  end
  return browsers
end

---@param browsers table[]
---@param path string
---@param seconds number
---@param ... string  more of wrk's arguments
---@return Load
function Scene:begin_load(browsers, path, seconds, ...)
  local cookies = {}
  for i, browser in ipairs(browsers) do
    cookies[i] = browser:cookie_header()
  end
  local number = #self.loads + 1
  self.loads[number] = loads.begin(self.gateway.url .. path, seconds,
    loads.by(cookies, self.directory:file("cookies." .. number), ...))
  return self.loads[number]
end

---@return SeenToken[]
---@return integer refused
function Scene:tokens()
  return loads.tokens(self.upstream)
end

--- How often tokens were renewed.
---@param lifetime? integer  only for tokens that live for so many seconds
---@return integer
---@return table<string, integer>  by user
function Scene:renewals(lifetime)
  local count, by_user = 0, {}
  for user, seconds in self.provider:control("renewals"):gmatch("(%S+) (%d+)\n") do
    if not lifetime or tonumber(seconds) == lifetime then
      count, by_user[user] = count + 1, (by_user[user] or 0) + 1
    end
  end
  return count, by_user
end

function Scene:stop()
  for _, load in ipairs(self.loads) do
    load:stop()
  end
  local ok, problem = pcall(self.server.stop, self.server, "QUIT")
  self.upstream:stop()
  self.redis:stop()
  self.provider:stop()
  self.directory:remove()
  assert(ok, problem)
end

return loaded_login
