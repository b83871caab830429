--- What there is for nginx beside flows: the table `tokencache.nginx`. Its functions are loaded
--- when they are first asked for.

local modules = {
  login = "tokencache.nginx.login",
  metrics = "tokencache.nginx.metrics",
  upstream = "tokencache.nginx.upstream",
}

---@class tokencache.NginxSettings
---@field owed? table  ngx.shared.NAME: where workers tell each other of tokens that are not saved
---@field metrics fun(opts?: { shared_dict?: string }): tokencache.Metrics
---@field upstream fun(opts: tokencache.UpstreamOptions): tokencache.Upstream
---@field login fun(opts: tokencache.LoginGatewayOptions): tokencache.LoginGateway
return setmetatable({}, {
  __index = function(self, name)
    local module = modules[name]
    if module then
      rawset(self, name, require(module))
      return rawget(self, name)
    end
  end,
})
