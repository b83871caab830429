-- Redis by sentinels, from nginx's event loop.

local nginx = require "support.nginx"
local process = require "support.process"
local redis_sentinels = require "support.redis_sentinels"

describe("inside nginx, store.redis by sentinels", function()
  local group, server

  setup(function()
    group = redis_sentinels.start { password = "server-word", sentinel_password = "sentinel-word" }
    local options = group:options()
    server = nginx.start {
      thread_pool = false,
      values = { SENTINELS = '"' .. table.concat(options.sentinels, '", "') .. '"' },
      http = [[
        lua_socket_log_errors off;
        init_by_lua_block {
          tokencache = require "tokencache"
          function store(more)
            local options = { sentinels = { $SENTINELS }, master = "tokens", connect_timeout = 15,
              password = "server-word", sentinel_password = "sentinel-word" }
            for name, value in pairs(more or {}) do
              options[name] = value
            end
            return tokencache.store.redis(options)
          end
        }
      ]],
      server = [[
        location /contract {
          content_by_lua_block {
            local one = store()
            local function make(name) return tokencache.cache.from_store(one, { "token", name }) end
            require("support.in_nginx").run(function()
              require("tokencache").testing.contract(make, { reopen = make })
            end)
          }
        }
        location /set {
          content_by_lua_block { ngx.say(tostring(store():set("k", ngx.var.arg_to))) }
        }
        location /wrong {
          content_by_lua_block {
            local _, err = store({ sentinel_password = "wrong-word" }):get "k"
            ngx.say(tostring(err))
          }
        }
        location /tls {
          content_by_lua_block {
            local _, err = store({ tls = true }):get "k"
            ngx.say(tostring(err))
          }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
    group:stop()
  end)

  local function body(path)
    return (select(2, server:get(path)):gsub("\n$", ""))
  end

  it("keeps the contract of cache handlers", function()
    server:check_tap "/contract"
  end)

  it("says what is wrong with them", function()
    local said = body "/wrong"
    assert.truthy(said:find("%(sentinel 127.0.0.1:%d+%): Redis answered WRONGPASS"), said)
    assert.truthy(said:find("check sentinel_username= and sentinel_password=", 1, true), said)
    assert.is_nil(said:find("-word", 1, true), said)
  end)

  it("speaks TLS in a thread, as they tell addresses", function()
    assert.truthy(body("/tls"):find("thread_pool tokencache", 1, true))
  end)

  it("follows a failover, and no call fails", function()
    local before, count = group:master(), 0
    assert.equal("true", body "/set?to=0")
    before:kill()
    process.wait_until("a failover", function()
      count = count + 1
      assert.equal("true", body("/set?to=" .. count))
      return group:master() ~= before
    end)
    assert.equal("true", body "/set?to=after")
    assert.equal("after", group:master():cli("GET", "k"))
  end)
end)
