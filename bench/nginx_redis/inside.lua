--- Inside nginx: the same GET by tokencache and by lua-resty-redis, one after the other or several
--- at once.

local clock = require("tokencache._core").monotonic
local new_flow = require "bench.new_flow"
local tokencache = require "tokencache"
local token_info = require "bench.token_info"

local ngx = ngx -- luacheck: ignore 113
local inside = {}

local ways = {}
local port, flow, store

function ways.store()
  return store:get "token_info"
end

function ways.flow()
  return flow:get_access_token()
end

--- As its manual has it: a connection from the pool, and back.
function ways.resty()
  local client = require("nginx.redis"):new()
  client:set_timeout(5000)
  assert(client:connect("127.0.0.1", port))
  local bytes = client:get "token_info"
  client:set_keepalive()
  return bytes
end

---@param redis_port integer
function inside.setup(redis_port)
  port = redis_port
  store = tokencache.store.redis { port = port }
  flow = new_flow(tokencache.cache.redis { port = port })
end

local function repeated(way, times)
  local result
  for _ = 1, times do
    result = way()
  end
  assert(result:find(token_info.access_token, 1, true))
end

local function work(way, times, threads)
  local running = {}
  for i = 1, threads do
    running[i] = ngx.thread.spawn(repeated, way, math.ceil(times / threads))
  end
  for i = 1, threads do
    assert(ngx.thread.wait(running[i]))
  end
end

--- Answers with the seconds that it took, after an untimed tenth.
---@param name string     "store", "flow" or "resty"
---@param times integer
---@param threads integer  at once
function inside.answer(name, times, threads)
  work(ways[name], math.ceil(times / 10), threads)
  local start = clock()
  work(ways[name], times, threads)
  ngx.say(("%.9f"):format((clock() - start) * times / (math.ceil(times / threads) * threads)))
end

return inside
