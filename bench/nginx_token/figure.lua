--- A gateway of one worker that attaches a token, against the same gateway with a constant: by
--- tokencache.nginx.upstream, in a variable of nginx and in the request, and a constant that passes
--- through Lua in the same way.

local gateways = require "bench.gateways"
local report = require "bench.report"

local function http(variable, more)
  return gateways.HTTP .. ([[
    %s
    lua_shared_dict tokencache 1m;
    lua_worker_thread_vm_pool_size 4;
    init_by_lua_block {
      api = require("tokencache").nginx.upstream {
        provider = { token_url = "http://127.0.0.1:$BACK/token" }, client_id = "bench",
        client_secret = "bench", proxy = "", variable = %s,
      }
    }
  ]]):format(more or "", variable)
end

local IN_VARIABLE = {
  name = "upstream, variable",
  http = http('"authorization"', 'map "" $authorization { default ""; }'),
  location = [[
    access_by_lua_block { api:attach() }
    proxy_set_header Authorization $authorization;
  ]],
}

local IN_REQUEST = {
  name = "upstream",
  http = http "nil",
  location = "access_by_lua_block { api:attach() }",
}

local WITHOUT = {
  name = "a constant, no Lua",
  http = gateways.HTTP,
  location = 'proxy_set_header Authorization "Bearer a-token";',
}

return function(rounds)
  local all = gateways.measure(rounds,
    { IN_VARIABLE, WITHOUT, IN_REQUEST, gateways.constant "a-token" })
  local in_variable, without, in_request, constant = all[1], all[2], all[3], all[4]
  report.rate("nginx, " .. in_variable.name, in_variable, without, { least = 0.95 })
  report.rate("nginx, " .. in_request.name, in_request, without, { least = 0.9 })
  report.rate("", in_request, constant)
  report.difference("nginx, memory of a worker", "MB", in_request.memory, without.name,
    without.memory)
end
