--- The slowest of a hundred requests to a worker of nginx, while others of the same worker wait for
--- a token endpoint, a Redis or a file, and while none do.

local core = require "tokencache._core"
local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"
local redis_server = require "support.redis_server"
local report = require "bench.report"

local AIM = { most = 2.0 }
local REQUESTS = 300 -- in a turn

local HTTP = [[
  init_by_lua_block {
    local tokencache = require "tokencache"
    store = tokencache.store.redis { port = $REDIS, timeout = 60 }
    file = tokencache.cache.file { cache_path = "$FILE" }
    function fetch()
      return tokencache.flow.client_credentials {
        provider = { token_url = "http://127.0.0.1:$ENDPOINT/" }, client_id = "bench",
        client_secret = "bench", proxy = "", cache = tokencache.cache.memory {},
      }:get_access_token()
    end
  }
]]

local SERVER = [[
  location /redis { content_by_lua_block { ngx.say(store:get("k") or "none") } }
  location /request { content_by_lua_block { ngx.say((fetch())) } }
  location /file { content_by_lua_block { ngx.say(file:get_cached_token().access_token) } }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

local ENDPOINT = [[
  location / {
    content_by_lua_block { ngx.sleep(3) ngx.print('{"access_token":"token"}') }
  }
]]

--- Seconds within which 99 of 100 requests were answered.
local function p99(server)
  local times = {}
  for i = 1, REQUESTS do
    local start = core.monotonic()
    local status = server:get("/quick")
    times[i] = core.monotonic() - start
    assert(status == 200)
  end
  table.sort(times)
  return times[math.ceil(REQUESTS * 0.99)]
end

local function nothing() end

local function p99_beside(server, case)
  local waiting = {};
  (case.stop or nothing)()
  for i = 1, case.count do
    waiting[i] = server:begin(case.path, { timeout = 60 })
  end
  local seconds = p99(server)
  assert(not waiting[case.count]:is_answered());
  (case.go_on or nothing)()
  for _, request in ipairs(waiting) do
    assert(select(2, request:finish()) == case.answer .. "\n")
  end
  return seconds
end

local function measure(rounds, server, case)
  local alone, beside = { name = "none waiting", times = {} }, { times = {} }
  for round = 1, math.max(5, math.floor(rounds / case.share)) do
    if round % 2 == 1 then
      alone.times[round] = p99(server)
    end
    beside.times[round] = p99_beside(server, case)
    alone.times[round] = alone.times[round] or p99(server)
  end
  report.ratio("p99 beside " .. case.name, beside, alone, AIM)
end

return function(rounds)
  local dir, redis = folder.new(), redis_server.start()
  local endpoint, path = nginx.start { server = ENDPOINT }, dir:file("token.json")
  process.write_file(path, [[{"access_token":"token"}]])
  local server = nginx.start {
    main = "env SLOW_PATH;",
    environment = { SLOW_PATH = path,
      LD_PRELOAD = os.getenv("PWD") .. "/build/lua5.4/support/slow.so" },
    http = HTTP,
    server = SERVER,
    values = { REDIS = redis.port, FILE = path, ENDPOINT = endpoint.port },
  }
  measure(rounds, server, { name = "a frozen Redis", path = "/redis", answer = "none", count = 50,
    share = 3,
    stop = function() redis.child:signal("STOP") end,
    go_on = function() redis.child:signal("CONT") end,
  })
  -- four threads, of which each opens a file in a second or waits three for an answer
  measure(rounds, server, { name = "a slow endpoint", path = "/request", answer = "token",
    count = 8, share = 10 })
  measure(rounds, server, { name = "a slow file", path = "/file", answer = "token", count = 16,
    share = 10 })
  server:stop()
  endpoint:stop()
  redis:stop()
  dir:remove()
end
