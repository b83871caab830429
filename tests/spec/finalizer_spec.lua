-- Finalizers of the program's may use what is collected together with them, and run amid a call.

local fake_endpoint = require "support.fake_endpoint"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local redis_server = require "support.redis_server"

--- What the script prints.
local function run(script, ...)
  local code, output = process.run(process.lua(script, ...))
  assert.equal(0, code, output)
  return output
end

describe("a flow that is collected", function()
  local function expect_closed(...)
    local output = run(...)
    local error = output:match("^[^\n]*the flow is closed: (.*)$")
    assert.equal("it was collected together with what calls it\n", error, output)
  end

  local PRELUDE = [[
    require("tokencache").set_logger(false)
    local collect = require "support.collect"
    local finalizer = require "support.finalizer"
    local tokencache = require "tokencache"
    local yields = false
    local function new_flow(options)
      options.provider = options.provider or { token_url = "https://a.example/t" }
      options.client_id, options.client_secret = "c", "s"
      options.cache = options.cache or tokencache.cache.from_store(tokencache.store.memory {}, "k")
      options.http = options.http or { request = function()
        if yields then coroutine.yield() end
        return { status = 200,
          body = '{"access_token":"a","token_type":"Bearer","expires_in":3600}' }
      end }
      return tokencache.flow.client_credentials(options)
    end
    local function show(fn, ...)
      print((select(2, pcall(fn, ...))))
    end
  ]]

  for name, options in pairs {
    ["in its cache"] = "nil",
    ["whatever its cache holds"] = "{ check_cache = false }",
    ["in time"] = "{ timeout = 5 }",
  } do
    for cache, made in pairs {
      ["a store"] = "nil",
      ["the memory handler"] = "tokencache.cache.memory()",
    } do
      it("refuses to look for a token " .. name .. ", over " .. cache, function()
        expect_closed(PRELUDE .. ([[
          local function leave()
            local self = {}
            self.last = finalizer(function()
              show(self.flow.get_access_token, self.flow, %s)
            end)
            self.flow = new_flow { cache = %s }
            assert(self.flow:get_access_token())
          end
          leave()
          collect()
        ]]):format(options, made))
      end)
    end
  end

  it("refuses to go on with a call that yielded", function()
    expect_closed(PRELUDE .. [[
      yields = true
      local function leave()
        local self = {}
        self.last = finalizer(function()
          print((select(2, coroutine.resume(self.thread))))
        end)
        self.flow = new_flow {}
        self.thread = coroutine.create(function() return self.flow:get_access_token() end)
        assert(coroutine.resume(self.thread))
      end
      leave()
      collect()
    ]])
  end)

  describe("over a transport that goes on", function()
    local endpoint
    setup(function() endpoint = fake_endpoint.start() end)
    teardown(function() endpoint:stop() end)

    it("sends nothing without its headers", function()
      endpoint:clear()
      run(PRELUDE .. [[
        local url = ...
        local transport = require("tokencache.transport.curl").new { proxy = "" }
        local function leave()
          local self, cache = {}, {}
          function cache.get_cached_token() -- once there is an engine, and no headers yet
            self.last = self.last or finalizer(function()
              show(self.flow.get_access_token, self.flow, { check_cache = false })
            end)
          end
          function cache.save_token_to_cache() return true end
          self.flow = new_flow { http = transport, provider = { token_url = url }, cache = cache }
          assert(self.flow:get_access_token { check_cache = false })
        end
        assert(transport:request { method = "GET", url = url })
        leave()
        collect()
      ]], endpoint:url("token"))
      for _, request in ipairs(endpoint:requests()) do
        assert(request.method == "GET" or request.headers.authorization)
      end
    end)
  end)
end)

describe("a finalizer that runs amid a call changes nothing of its result, where it", function()
  local function check(script, ...)
    assert.equal("", run([[
      local amid = require "support.amid_calls"
      local OURS, OTHERS = amid.OURS, amid.OTHERS
    ]] .. script, ...))
  end

  it("decodes JSON, too", function()
    check [[
      local json = require "tokencache.json"
      local function decode(value)
        local array = json.decode("[" .. ('"\\u0041' .. value .. '",'):rep(8) .. '""]')
        return table.concat(array)
      end
      amid.expect(("A" .. OURS):rep(8), function() return decode(OURS) end,
        function() decode(OTHERS) end)
    ]]
  end)

  it("holds another conversation with the same Redis", function()
    check [[
      local known = require("tokencache._redis").known { host = "there", place = "there" }
      local function says(value)
        local talk = known:talk()
        talk:begin(0, "SET", value)
        local _, _, bytes = talk:go_on(0, true)
        local _, _, reply = talk:go_on(0, "+" .. value .. "\r\n")
        return bytes .. reply
      end
      local expected = says(OURS)
      amid.expect(expected, function() return says(OURS) end, function() says(OTHERS) end)
    ]]
  end)

  describe("asks the same", function()
    local memcached, redis

    setup(function()
      memcached, redis = memcached_server.start(), redis_server.start()
    end)

    teardown(function()
      memcached:stop()
      redis:stop()
    end)

    it("client of memcached", function()
      for _, method in ipairs { "get", "gets" } do
        check([[
          local address, method = ...
          local client = assert(require("tokencache._memcached").open({ address }, nil, 5, 5))
          assert(client:set("ours", OURS))
          assert(client:set("others", OTHERS))
          amid.expect(OURS, function()
            client:get "nothing" -- it forgets what it said last
            return (client[method](client, "ours"))
          end, function() client[method](client, "others") end)
        ]], memcached.address, method)
      end
    end)

    it("client of Redis", function()
      check([[
        local client = assert(require("tokencache._redis").open { host = "127.0.0.1",
          port = tonumber((...)), place = "the server" })
        assert(client:command("SET", "ours", OURS))
        assert(client:command("SET", "others", OTHERS))
        amid.expect(OURS, function()
          client:command("GET", "nothing") -- it forgets what it said last
          return (client:command("GET", "ours"))
        end, function() client:command("GET", "others") end)
      ]], redis.port)
    end)

    it("client of memcached, and closes it", function()
      check([[
        local address, client = ...
        local function open()
          client = assert(require("tokencache._memcached").open({ address }, nil, 5, 5))
        end
        open()
        assert(client:set("k", OURS))
        amid.expect(OURS, function()
          open()
          local ok, result = pcall(client.get, client, "k")
          return ok and result or result:find("is closed", 1, true) and OURS
        end, function() client:close() end)
      ]], memcached.address)
    end)
  end)
end)

it("a finalizer may call any module last of all, when the Lua state is closed", function()
  local output = run [[
    local functions = {}
    kept = require "support.finalizer"(function()
      for _, fn in ipairs(functions) do
        print(type(fn()))
      end
    end)
    for name, call in pairs {
      core = { "now" },
      json = { "decode", "{}" },
      http = { "headers", "" },
      redirect = { "open", {} },
      browser = { "open" },
      crypto = { "sha256", "" },
      redis = { "format", "PING" },
      memcached = { "open" },
    } do
      local fn, argument = require("tokencache._" .. name)[call[1] ], call[2]
      functions[#functions + 1] = function()
        return select(2, pcall(fn, argument))
      end
    end
  ]]
  assert.equal(8, select(2, output:gsub("\n", "")), output)
end)

it("a finalizer that changes the table which is being encoded ends that, by an error", function()
  assert.equal("", run [[
    local finalizer, json = require "support.finalizer", require "tokencache.json"
    local info, grown = { access_token = "a", scopes = { first = "b", second = { third = 3 } } }, 0
    local function change()
      grown = grown + 1
      local name = grown % 2 == 0 and "even" or "odd"
      info[name] = info[name] == nil and 1 or nil
      info.scopes[name] = info[name]
      finalizer(change)
    end
    change()
    repeat
      local fine, text = pcall(json.encode, info)
      assert(fine or text == "encode: a finalizer has changed the table", text)
    until grown >= 2000
  ]])
end)

describe("a finalizer that empties the table which is being", function()
  local function check(write)
    assert.equal("", run([[
      require("tokencache").set_logger(false)
      local collector, finalizer = require "support.collector", require "support.finalizer"
      local tokencache, json = require "tokencache", require "tokencache.json"
      collector("pause", 1)
      collector("stepmul", 10000)
      local cache = tokencache.cache.from_store(tokencache.store.memory {}, "k")
      local nested, emptied = {}, 0
      local info = { access_token = "a", nested = nested }
      local function empty()
        emptied = emptied + (next(nested) and 1 or 0)
        for name in pairs(nested) do nested[name] = nil end
      end
      local function write() ]] .. write .. [[ end
      for round = 1, 1000 do
        for _ = 1, math.random(9) do finalizer(empty) end
        local _ = ("x"):rep(math.random(999))
        for i = 1, 9 do
          nested[("a name of field %d that nothing but round %d's table holds"):format(i, round)] =
            { i, { "a" } }
        end
        local fine, problem = pcall(write)
        assert(fine or tostring(problem):find "a finalizer has changed the table$", problem)
      end
      assert(emptied > 0)
    ]]))
  end

  it("encoded ends that, by an error", function()
    check "assert(json.encode(info))"
  end)

  it("saved ends that, by an error", function()
    check "assert(cache:save_token_to_cache(info))"
  end)
end)

describe("while the state is closed", function()
  -- that nothing leaks is for the sanitizer to say
  it("bindings work, after one that has failed too", function()
    assert.equal("134\n", run [[
      local core = require "tokencache._core"
      assert(core.file.list "/nonexistent" == nil)
      core.at_close(function() print(#core.base64url_encode(("x"):rep(100))) end)
    ]])
  end)
end)
