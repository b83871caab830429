-- The contract of cache handlers, inside nginx, for those that keep tokens in servers: Redis by
-- cosockets, memcached by the thread pool, and the client objects that OpenResty brings.

local memcached_server = require "support.memcached_server"
local nginx = require "support.nginx"
local redis_server = require "support.redis_server"

describe("in nginx the contract of cache handlers", function()
  local redis, memcached, server

  local function start(settings)
    settings.values = { REDIS = redis.port, SOCKET = redis.path, MEMCACHED = memcached.port }
    settings.http = [[
      lua_shared_dict tokens 10m;
      init_by_lua_block {
        handlers = require "nginx.inside.server_handlers"($REDIS, "$SOCKET", $MEMCACHED)
      }
    ]]
    settings.server = [[
      location / {
        content_by_lua_block {
          local make = handlers[ngx.unescape_uri(ngx.var.arg_of)]
          require("support.in_nginx").run(function()
            require("tokencache").testing.contract(make, { reopen = make })
          end)
        }
      }
    ]]
    server = nginx.start(settings)
  end

  before_each(function()
    redis, memcached = redis_server.start(), memcached_server.start()
  end)

  after_each(function()
    server:stop()
    redis:stop()
    memcached:stop()
  end)

  local function check(name)
    server:check_tap("/?of=" .. name:gsub(" ", "%%20"))
  end

  it("holds over Redis, without a thread pool", function()
    start { thread_pool = false }
    for _, name in ipairs { "cache.redis", "cache.redis by a Unix socket", "from_store over Redis",
      "encrypted over Redis", "tiered over Redis" } do
      check(name)
    end
  end)

  it("holds over a client of lua-resty-redis", function()
    start { thread_pool = false }
    check "nginx.redis as client"
  end)

  it("holds over a client of lua-resty-memcached", function()
    start { thread_pool = false }
    check "nginx.memcached as client"
  end)

  it("holds over memcached, whose work is done in threads", function()
    start {}
    check "cache.memcached"
  end)
end)
