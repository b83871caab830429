-- Workers that share a token by Redis or memcached renew it once, however many requests find it
-- expired, and none waits for a server's answer to somebody else.

local fake_endpoint = require "support.fake_endpoint"
local memcached_server = require "support.memcached_server"
local nginx = require "support.nginx"
local redis_server = require "support.redis_server"

local HTTP = [[
  init_by_lua_block {
    local cache = require("tokencache").cache
    local in_nginx = require "support.in_nginx"
    answer = in_nginx.answer
    redis = in_nginx.new_flow("$URL", cache.redis { port = $REDIS })
    memcached = in_nginx.new_flow("$URL",
      cache.memcached { servers = { "$MEMCACHED" }, timeout = 30 })
    function by_client()
      local client = require("nginx.redis"):new()
      assert(client:connect("127.0.0.1", $REDIS))
      return redis:account(cache.redis { client = client, key = "by client" })
    end
  }
]]

local SERVER = [[
  location /redis { content_by_lua_block { answer(redis:get_access_token()) } }
  location /memcached { content_by_lua_block { answer(memcached:get_access_token()) } }
  location /client { content_by_lua_block { answer(by_client():get_access_token()) } }
  location /quick { content_by_lua_block { ngx.say("here") } }
]]

describe("workers of nginx that share a token by", function()
  local endpoint, redis, memcached, server

  before_each(function()
    endpoint, redis, memcached = fake_endpoint.start(), redis_server.start(),
      memcached_server.start()
  end)

  after_each(function()
    server:stop()
    endpoint:stop()
    redis:stop()
    memcached:stop()
  end)

  local function start(workers)
    server = nginx.start { workers = workers, http = HTTP, server = SERVER,
      values = { URL = endpoint:url("token"), REDIS = redis.port, MEMCACHED = memcached.address } }
  end

  --- Forty requests at once after each loss of the token.
  local function check_stampedes(path, lose)
    start(3)
    for round = 1, 5 do
      lose()
      local requests = {}
      for i = 1, 40 do
        requests[i] = server:begin(path)
      end
      for _, request in ipairs(requests) do
        local status, body = request:finish()
        assert.same({ 200, "access-" .. round .. "\n" }, { status, body })
      end
      assert.equal(round, #endpoint:requests())
    end
  end

  it("Redis renew it once in each stampede, and leave no lock behind", function()
    check_stampedes("/redis", function() redis:cli("DEL", "token_info") end)
    assert.equal("token_info", redis:cli("KEYS", "*"))
  end)

  it("the request's own client did so in a timer, where that was of no use", function()
    start(1)
    assert.equal("access-1\n", select(2, server:get("/client")))
    assert.equal("access-1\n", select(2, server:get("/client")))
    assert.equal(1, #endpoint:requests())
  end)

  it("memcached renew it once in each stampede", function()
    check_stampedes("/memcached", function() memcached:ask "delete token_info" end)
  end)

  it("a memcached that is frozen answer everybody else meanwhile", function()
    start(1)
    assert.equal("access-1\n", select(2, server:get("/memcached")))
    memcached.child:freeze()
    local waiting = server:begin("/memcached")
    for _ = 1, 50 do
      assert.equal("here\n", select(2, server:get("/quick")))
    end
    assert.is_false(waiting:is_answered())
    memcached.child:signal("CONT")
    assert.equal("access-1\n", select(2, waiting:finish()))
  end)
end)
