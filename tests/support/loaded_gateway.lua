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

local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
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
  lua_shared_dict notes 1m;
  keepalive_requests 100000000;
  upstream resource { server 127.0.0.1:$UPSTREAM; keepalive 100; keepalive_requests 100000000; }
  proxy_http_version 1.1;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache = tokencache.cache
    local transport = require("tokencache.nginx.http").new { proxy = "" }
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
      http = {
        heartbeats = true,
        request = function(_, request)
          ngx.shared.notes:set("renewing", ngx.worker.pid())
          return transport:request(request)
        end,
      },
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
  location /renewing { content_by_lua_block { ngx.say(ngx.shared.notes:get("renewing") or "") } }
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
      LEEWAY = settings.leeway, ID = client.client_id, SECRET = client.client_secret,
    },
  }
  return self
end

--- 100 connections by wrk, as fast as they are answered.
---@param seconds number
---@param arguments? string[]  more of wrk's
function Gateway:begin_load(seconds, arguments)
  local command = { "wrk", "-t1", "-c100", ("-d%ds"):format(seconds), "--timeout", "30s" }
  for _, argument in ipairs(arguments or {}) do
    command[#command + 1] = argument
  end
  command[#command + 1] = ("http://127.0.0.1:%d/"):format(self.server.port)
  self.load = process.start(command)
  self.load_ends = seconds + 60
end

---@return { requests: integer, refused: integer, broken: integer, late: integer, text: string }
---   refused: answers other than 200; broken: connections that ended without an answer; late:
---   answers that took longer than 30 s
function Gateway:end_load()
  self.load:wait(self.load_ends)
  local text = self.load:output()
  self.load:stop()
  local connect, read, write, timeout = text:match(
    "Socket errors: connect (%d+), read (%d+), write (%d+), timeout (%d+)")
  local requests = assert(text:match("(%d+) requests in"), text)
  return {
    text = text,
    requests = tonumber(requests),
    refused = tonumber(text:match("Non%-2xx or 3xx responses: (%d+)") or 0),
    broken = (connect or 0) + (read or 0) + (write or 0),
    late = tonumber(timeout or 0),
  }
end

--- The tokens that the resource server has seen, by the time of their issue; and how many requests
--- it has refused.
---@return { issued: integer, ends: integer }[]  Unix seconds
---@return integer refused
function Gateway:tokens()
  local tokens = {}
  local _, body = self.upstream:get("/tokens")
  for issued, ends in body:gmatch("(%d+) (%d+)\n") do
    tokens[#tokens + 1] = { issued = tonumber(issued), ends = tonumber(ends) }
  end
  table.sort(tokens, function(a, b)
    return a.issued < b.issued
  end)
  return tokens, tonumber(body:match("refused (%d+)\n"))
end

--- Kills the worker that renews the token, in the midst of it.
---@return integer connections  that ended with it
---@return integer left  milliseconds that the lock it held has left
function Gateway:kill_renewing_worker()
  local before = self.provider:token_requests()
  self.provider:next_token { delay = 60 }
  process.wait_until("a token request", function()
    return self.provider:token_requests() > before
  end)
  local _, pid = self.server:get("/renewing")
  pid = assert(tonumber(pid), pid)
  process.freeze(pid)
  local _, names = process.run { "sh", "-c", "ls -l /proc/" .. pid .. "/fd" }
  local left = self.redis:cli("PTTL", loaded_gateway.LOCK)
  os.execute("kill -KILL " .. pid)
  self.server:announce("worker process " .. pid .. " exited on signal 9")
  return select(2, names:gsub("socket:", "")), tonumber(left)
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
