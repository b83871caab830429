-- Redis by sentinels, and a Redis Cluster, from nginx's event loop.

local nginx = require "support.nginx"
local process = require "support.process"
local redis_cluster = require "support.redis_cluster"
local redis_sentinels = require "support.redis_sentinels"

local HTTP = [[
  lua_socket_log_errors off;
  init_by_lua_block {
    tokencache = require "tokencache"
    function store(more)
      return tokencache.store.redis(require("support.merged")($OPTIONS, more))
    end
  }
]]

local SERVER = [[
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
  location /wrong {
    content_by_lua_block {
      local _, err = store({ $WRONG }):get "k"
      ngx.say(tostring(err))
    }
  }
  location /tls {
    content_by_lua_block {
      local _, err = store({ tls = true }):get "k"
      ngx.say(tostring(err))
    }
  }
]]

local function written(options)
  local fields = {}
  for name, value in pairs(options) do
    fields[#fields + 1] = name .. " = " .. (type(value) == "table"
      and '{ "' .. table.concat(value, '", "') .. '" }' or ("%q"):format(value))
  end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

for place, start in pairs { ["by sentinels"] = redis_sentinels.start,
  ["in a cluster"] = redis_cluster.start } do
  describe("inside nginx, store.redis " .. place, function()
    local group, server

    setup(function()
      group = start { password = "server-word", sentinel_password = "sentinel-word" }
      server = nginx.start { thread_pool = false, http = HTTP, server = SERVER, values = {
        OPTIONS = written(group:options()),
        WRONG = (start == redis_cluster.start and "password" or "sentinel_password")
          .. ' = "wrong-word"',
      } }
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

    it("says whose password is wrong", function()
      local said, who, option = body "/wrong", "node", "username= and password="
      if start == redis_sentinels.start then
        who, option = "sentinel", "sentinel_username= and sentinel_password="
      end
      assert.truthy(said:find(("%%(%s 127.0.0.1:%%d+%%): Redis answered WRONGPASS"):format(who)),
        said)
      assert.truthy(said:find("check " .. option, 1, true), said)
      assert.is_nil(said:find("-word", 1, true), said)
    end)

    it("speaks TLS in a thread, as servers are told by their addresses", function()
      assert.truthy(body("/tls"):find("thread_pool tokencache", 1, true))
    end)

    if start == redis_cluster.start then
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
    end

    it("follows a failover, and no call fails", function()
      local before, count = group:master_of "k1", 0
      assert.equal("", body "/set?to=0")
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
end
