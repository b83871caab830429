-- Entries that are replaced, tried and listed from inside nginx: in Redis by cosockets, in
-- memcached by the thread pool. What stores do with replies, tests/spec/*_replace_spec.lua show.

local memcached_server = require "support.memcached_server"
local nginx = require "support.nginx"
local redis_server = require "support.redis_server"
local scripted_server = require "support.scripted_server"

local HTTP = [[
  lua_socket_log_errors off;
  lua_shared_dict tokens 10m;
  init_by_lua_block {
    local store = require("tokencache").store
    redis = store.redis { port = $REDIS }
    memcached = store.memcached { servers = { "$MEMCACHED" } }
    dict = store.shared_dict(ngx.shared.tokens)
    answer = require("support.in_nginx").answer
  }
]]

local SERVER = [[
  location /run {
    content_by_lua_block {
      ngx.req.read_body()
      answer(assert(loadstring(ngx.req.get_body_data()))())
    }
  }
  location /replace {
    content_by_lua_block { answer(_G[ngx.var.arg_in]:replace("k", "old", ngx.var.arg_by)) }
  }
]]

describe("inside nginx, a store in", function()
  local server, redis, memcached

  setup(function()
    redis, memcached = redis_server.start(), memcached_server.start()
    server = nginx.start { workers = 3, http = HTTP, server = SERVER,
      values = { REDIS = redis.port, MEMCACHED = memcached.address } }
  end)

  teardown(function()
    server:stop()
    redis:stop()
    memcached:stop()
  end)

  after_each(function() server:check() end)

  local function run(code)
    local status, body = server:get("/run", { method = "POST", body = code })
    assert.equal(200, status, server:log())
    return (body:gsub("\n$", ""))
  end

  for name, what in pairs { redis = "Redis", memcached = "memcached", dict = "a dictionary" } do
    it(what .. " replaces an entry that is as expected, under its own lock", function()
      assert.equal("true false true false true false true", run("local store = " .. name .. [[

        local all = {}
        local function add(result, err)
          all[#all + 1] = tostring(result == nil and err or result)
        end
        store:delete "k"
        add(store:replace("k", nil, "old\0"))
        add(store:replace("k", nil, "new"))
        local handle = store:try_lock("k", 20)
        add(store:replace("k", "old\0", "new", 100, handle))
        add(store:replace("k", "old\0", "newer", 100, handle))
        store:unlock(handle)
        local other = store:try_lock("k", 20)
        add(store:can_save("k", "new", 100, other) == "new" .. (" "):rep(1024))
        add(store:can_save("k", store:get "k", 100, handle))
        store:unlock(other)
        add(store:get "k" == "new" .. (" "):rep(1024))
        return table.concat(all, " ")]]))
    end)
  end

  for name, what in pairs { redis = "Redis", memcached = "memcached" } do
    it(what .. " replaces an entry for one of forty requests to three workers", function()
      for _ = 1, 5 do
        run(name .. ":set('k', 'old')")
        local requests, winner = {}, nil
        for i = 1, 40 do
          requests[i] = server:begin("/replace?in=" .. name .. "&by=" .. i)
        end
        for i, request in ipairs(requests) do
          local _, body = request:finish()
          if body == "true\n" then
            assert.is_nil(winner)
            winner = i
          else
            assert.equal("false\n", body)
          end
        end
        assert.equal(tostring(winner), run("return " .. name .. ":get 'k'"))
      end
    end)
  end

  it("Redis says what hinders it", function()
    redis:cli("CONFIG", "SET", "maxmemory", "1")
    run [[ redis:delete "k" ]]
    assert.matches("^cache: .*Redis answered OOM .*raise the server's maxmemory",
      run [[ return redis:replace("k", nil, "new") ]])
    redis:cli("CONFIG", "SET", "maxmemory", "0")
  end)

  it("Redis knows what it has done itself where the first answer was lost", function()
    local code = [[ return require("tokencache").store.redis({ port = PORT }):replace("k", %s) ]]
    for arguments, wanted in pairs { ["'old', 'new'"] = "true", ["nil, 'new'"] = "true" } do
      local other = scripted_server.start { { "close" }, { ":2\r\n" } }
      local answer = run((code:format(arguments):gsub("PORT", other.port)))
      other:stop()
      assert.equal(wanted, answer)
    end
    local other = scripted_server.start { { ":2\r\n" } } -- another's, of the same bytes
    local answer = run((code:format("'old', 'new'"):gsub("PORT", other.port)))
    other:stop()
    assert.equal("false", answer)
  end)

  it("Redis or a dictionary lists each key once, in pages", function()
    for _, name in ipairs { "redis", "dict" } do
      assert.equal("1000 of 1000 true", run("local store = " .. name .. [[

        for i = 1, 1000 do
          store:set("listed:" .. i, "v")
        end
        store:try_lock("listed:1", 20)
        store:set("other", "v")
        local seen, count, all, pages, cursor = {}, 0, 0, 0, nil
        repeat
          local keys, more = store:keys("listed:", cursor)
          assert(keys, more)
          for _, key in ipairs(keys) do
            all = all + 1
            count = count + (seen[key] and 0 or 1)
            seen[key] = true
          end
          pages, cursor = pages + 1, more
        until not cursor
        return count .. " of " .. all .. " " .. tostring(pages > 3)]]))
    end
  end)

  it("a dictionary lists each key once that three workers saved at once", function()
    local requests = {}
    for i = 1, 6 do
      requests[i] = server:begin("/run", { method = "POST", body = [[
        for i = 1, 300 do
          assert(dict:set("shared:" .. i, "v"))
          if i % 3 == 0 then
            ngx.sleep(0)
          end
        end]] })
    end
    for _, request in ipairs(requests) do
      assert.equal(200, (request:finish()))
    end
    assert.equal("300 300", run [[
      local seen, count, all, cursor = {}, 0, 0, nil
      repeat
        local keys, more = dict:keys("shared:", cursor)
        for _, key in ipairs(keys) do
          all, count = all + 1, count + (seen[key] and 0 or 1)
          seen[key] = true
        end
        cursor = more
      until not cursor
      return count .. " " .. all]])
  end)
end)
