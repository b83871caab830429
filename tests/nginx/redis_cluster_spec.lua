-- A Redis Cluster, from nginx's event loop.

local nginx = require "support.nginx"
local process = require "support.process"
local redis_cluster = require "support.redis_cluster"

describe("inside nginx, store.redis in a cluster", function()
  local group, server

  setup(function()
    group = redis_cluster.start { password = "server-word" }
    server = nginx.start {
      thread_pool = false,
      values = { NODES = '"' .. table.concat(group:options().cluster, '", "') .. '"' },
      http = [[
        lua_socket_log_errors off;
        init_by_lua_block {
          tokencache = require "tokencache"
          function store(tls)
            return tokencache.store.redis { cluster = { $NODES }, connect_timeout = 15,
              password = "server-word", tls = tls }
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
          content_by_lua_block {
            local one, said = store(), {}
            for i = 1, 9 do
              local ok, err = one:set("k" .. i, ngx.var.arg_to)
              local value, problem = one:get("k" .. i)
              if not ok or value ~= ngx.var.arg_to then
                said[#said + 1] = tostring(err or problem or value)
              end
            end
            ngx.say(table.concat(said, "\n"))
          }
        }
        location /list {
          content_by_lua_block {
            local one, count, keys, cursor = store(), 0
            repeat
              keys, cursor = one:keys("k", cursor)
              count = count + #assert(keys, tostring(cursor))
            until not cursor
            ngx.say(count)
          }
        }
        location /tls {
          content_by_lua_block {
            local _, err = store(true):get "k"
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

  it("speaks TLS in a thread, as nodes tell addresses", function()
    assert.truthy(body("/tls"):find("thread_pool tokencache", 1, true))
  end)

  it("keeps its connections while slots move", function()
    assert.equal("", body "/set?to=1")
    assert.equal("9", body "/list")
    local slot = group:slot_of "k1"
    local to = group:master_of_slot((slot + 5462) % 16384)
    local from = group:begin_to_move(slot, to)
    assert.equal("", body "/set?to=2")
    group:move_keys(slot, from, to)
    assert.equal("", body "/set?to=3")
    local function connections()
      local sum = 0
      for _, one in ipairs(group.servers) do
        sum = sum + tonumber(one:cli("INFO", "stats"):match "total_connections_received:(%d+)")
      end
      return sum
    end
    local before = connections()
    for i = 1, 20 do
      assert.equal("", body("/set?to=" .. i))
    end
    assert.is_true(connections() - before < 20, "not kept: those of redis-cli are 6")
    group:finish_move(slot, from, to)
    assert.equal("", body "/set?to=4")
    assert.equal("9", body "/list")
  end)

  it("follows a failover, and no call fails", function()
    local before, count = group:master_of "k1", 0
    before:kill()
    process.wait_until("a failover", function()
      count = count + 1
      assert.equal("", body("/set?to=" .. count))
      return group:master_of "k1" ~= before
    end)
    assert.equal("", body "/set?to=after")
    assert.equal("after", group:master_of("k1"):cli("GET", "k1"))
  end)
end)
