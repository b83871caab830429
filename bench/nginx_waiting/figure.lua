--- The slowest of a hundred requests to a worker of nginx, while others of the same worker wait for
--- a token endpoint, a Redis or a file, and while none do.

local folder = require "support.folder"
local nginx = require "support.nginx"
local process = require "support.process"
local redis_server = require "support.redis_server"
local report = require "bench.report"
local waiting = require "bench.waiting"

local AIM = { most = 2.0 }

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

local function nothing() end

local function measure(rounds, server, case)
  local beside, alone = waiting.measure(math.floor(rounds / case.share),
    function() return (server:get("/quick")) end, {
      begin = function()
        (case.stop or nothing)()
        local requests = {}
        for i = 1, case.count do
          requests[i] = server:begin(case.path, { timeout = 60 })
        end
        return requests
      end,
      go_on = case.go_on,
      check = function(_, body) assert(body == case.answer .. "\n", body) end,
    })
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
