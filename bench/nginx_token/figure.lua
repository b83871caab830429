--- A gateway of one worker that attaches a token from two tiers, a shared dictionary in front,
--- against the same gateway without tokencache: in set_by_lua, as docs/nginx.md has it, and all in
--- access_by_lua.

local gateways = require "bench.gateways"
local report = require "bench.report"

local FLOW = gateways.HTTP .. [[
  lua_shared_dict tokens 1m;
  lua_worker_thread_vm_pool_size 4;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache = tokencache.cache
    flow = tokencache.flow.client_credentials {
      provider = { token_url = "http://127.0.0.1:$BACK/token" }, client_id = "bench",
      client_secret = "bench", proxy = "",
      cache = cache.tiered {
        front = cache.from_store(
          tokencache.store.shared_dict(ngx.shared.tokens, { evict = true }), "bench"),
        back = cache.file { cache_path = "$FILE" },
      },
    }
    function get_token()
      local token, err = flow:get_access_token()
      if not token then
        ngx.log(ngx.ERR, err.kind, ": ", err)
        return ngx.exit(500)
      end
      return token
    end
  }
]]

local IN_SET = {
  name = "token, set_by_lua",
  http = FLOW,
  location = [[
    set_by_lua_block $access_token { return (flow:peek_access_token()) }
    if ($access_token = "") {
      access_by_lua_block { ngx.var.access_token = get_token() }
    }
    proxy_set_header Authorization "Bearer $access_token";
  ]],
}

local IN_ACCESS = {
  name = "token, access_by_lua",
  http = FLOW,
  location = [[
    access_by_lua_block { ngx.req.set_header("Authorization", "Bearer " .. get_token()) }
  ]],
}

local WITHOUT = {
  name = "a constant, no Lua",
  http = gateways.HTTP,
  location = 'proxy_set_header Authorization "Bearer a-token";',
}

return function(rounds)
  local all = gateways.measure(rounds, { IN_SET, WITHOUT, IN_ACCESS, gateways.constant "a-token" })
  local in_set, without, in_access, constant = all[1], all[2], all[3], all[4]
  report.rate("nginx, " .. in_set.name, in_set, without, { wished = 0.95, least = 0.9 })
  report.rate("", in_set, constant)
  report.rate("nginx, " .. in_access.name, in_access, without)
  report.rate("", in_access, constant)
  report.difference("nginx, memory of a worker", "MB", in_set.memory, without.name, without.memory)
end
