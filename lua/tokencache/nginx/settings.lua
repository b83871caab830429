--- What there is for nginx beside flows: the table `tokencache.nginx`. Its functions are loaded
--- when they are first asked for.

local environment = require "tokencache.environment"
local lazy = require "tokencache.util.lazy"

---@class tokencache.NginxSettings
---@field owed? table  ngx.shared.NAME: where workers tell each other of tokens that are not saved
---@field metrics fun(opts?: { shared_dict?: string }): tokencache.Metrics
---@field upstream fun(opts: tokencache.UpstreamOptions): tokencache.Upstream
---@field login fun(opts: tokencache.LoginGatewayOptions): tokencache.LoginGateway
return lazy("tokencache.nginx", {
  login = "tokencache.nginx.login",
  metrics = "tokencache.nginx.metrics",
  owed = false, -- the program sets it
  upstream = "tokencache.nginx.upstream",
}, not environment.nginx and "works in nginx only" or nil)
