--- A token from Redis inside nginx: cosockets with hiredis as codec, against lua-resty-redis.

local contest = require "bench.contest"
local nginx = require "support.nginx"
local one_core = require "bench.one_core"
local redis_server = require "support.redis_server"
local report = require "bench.report"
local token_info = require "bench.token_info"
local tokencache = require "tokencache"

local AIM = { most = 1.0 }

local function start_nginx(redis_port)
  return nginx.start {
    http = ([[ init_by_lua_block {
      package.path = "$ROOT/?.lua;" .. package.path
      inside = require "bench.nginx_redis.inside"
      inside.setup(%d)
    } ]]):format(redis_port),
    server = [[ location / { content_by_lua_block {
      inside.answer(ngx.var.uri:sub(2), tonumber(ngx.var.arg_times), tonumber(ngx.var.arg_threads))
    } } ]],
  }
end

local function measure(rounds, server, threads, how)
  local function enter(name, way)
    return contest.enter(name, ("lua5.4 bench/nginx_redis/ask.lua %d '/%s?threads=%d'"):format(
      server.port, way, threads))
  end
  local resty = enter("lua-resty-redis", "resty")
  local store, flow = enter("GET", "store"), enter("token", "flow")
  contest.run({ resty, store, flow }, { rounds = rounds, seconds = 0.02 })
  report.ratio("GET inside nginx, " .. how, store, resty, AIM)
  report.ratio("  as a flow's token", flow, resty)
end

local function measure_all(rounds)
  local redis = redis_server.start()
  assert(tokencache.cache.redis({ port = redis.port }):save_token_to_cache(token_info))
  local server = start_nginx(redis.port)
  measure(rounds, server, 1, "one")
  measure(rounds, server, 20, "20 at once")
  server:stop()
  redis:stop()
end

return function(rounds)
  one_core(function() measure_all(rounds) end)
end
