--- A gateway of one worker that attaches the tokens of 1,000 users in turn, out of a shared
--- dictionary before Redis, against the same gateway that attaches a constant.

local gateways = require "bench.gateways"
local many = require "bench.accounts.many"
local redis_server = require "support.redis_server"
local report = require "bench.report"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local USERS = 1000

local STORE = gateways.HTTP .. [[
  lua_shared_dict tokens 10m;
  init_by_lua_block {
    package.path = "$ROOT/?.lua;" .. package.path
    local many = require "bench.accounts.many"
    local store = require("tokencache").store
    tiered = store.tiered {
      front = store.shared_dict(ngx.shared.tokens, { evict = true }),
      back = store.redis { port = $REDIS },
    }
    flow = many.new_flow { store = tiered }
    new_flow, from_store = many.new_flow, require("tokencache").cache.from_store
    keys, last = many.keys($USERS), 0
    function next_key()
      last = last % #keys + 1
      return keys[last]
    end
    function attach(token, err)
      if not token then
        ngx.log(ngx.ERR, err.kind, ": ", err)
        return ngx.exit(500)
      end
      ngx.req.set_header("Authorization", "Bearer " .. token)
    end
  }
]]

local ACCOUNT = {
  name = "accounts",
  http = STORE,
  location = "access_by_lua_block { attach(flow:account(next_key()):get_access_token()) }",
}

local FLOW = {
  name = "a flow for each request",
  http = STORE,
  location = [[
    access_by_lua_block {
      attach(new_flow({ cache = from_store(tiered, next_key()) }):get_access_token())
    }
  ]],
}

return function(rounds)
  local redis = redis_server.start()
  many.fill(tokencache.store.redis { port = redis.port }, many.keys(USERS))
  local settings = { ACCOUNT, gateways.constant(token_info.access_token), FLOW }
  local all = gateways.measure(rounds, settings, { REDIS = redis.port, USERS = USERS })
  redis:stop()
  local account, constant, flow = all[1], all[2], all[3]
  report.rate("nginx, " .. account.name, account, constant, { least = 0.6 })
  report.rate("  " .. flow.name, flow, constant)
end
