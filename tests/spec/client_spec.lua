local json = require "tokencache.json"
local lua_redis = require "support.lua_redis"
local process = require "support.process"
local protected = require "tokencache.util.protected"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local TOKEN = { access_token = "a-token" }

describe("cache.redis over lua-redis", function()
  local server, client, cache

  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:cli("FLUSHALL")
    client = lua_redis.connect("127.0.0.1", server.port)
    cache = tokencache.cache.redis { client = client }
  end)

  it("keeps a token, and gives it a time to live", function()
    assert.same({}, { cache:get_cached_token() })
    assert.is_true(cache:save_token_to_cache { access_token = "a", expires_at = os.time() + 100 })
    assert.equal("a", cache:get_cached_token().access_token)
    local left = tonumber(server:cli("TTL", "token_info"))
    assert(left > 90 and left <= 101, left)
    assert.is_true(cache:save_token_to_cache(TOKEN))
    assert.equal("-1", server:cli("TTL", "token_info"))
    assert.is_true(cache:remove_cached_token())
    assert.same({}, { cache:get_cached_token() })
  end)

  it("shares entries with cache.redis over hiredis", function()
    local other = tokencache.cache.redis { port = server.port }
    cache:save_token_to_cache(TOKEN)
    assert.same(TOKEN, other:get_cached_token())
    other:save_token_to_cache { access_token = "b" }
    assert.equal("b", cache:get_cached_token().access_token)
  end)

  it("returns what lua-redis raises", function()
    server:cli("LPUSH", "token_info", "x")
    local info, err = cache:get_cached_token()
    assert.is_nil(info)
    assert.equal("cache", err.kind)
    assert.truthy(tostring(err):find("WRONGTYPE", 1, true), tostring(err))
    server:kill()
    info, err = cache:get_cached_token()
    assert.is_nil(info)
    assert.equal("cache", err.kind)
    local ok
    ok, err = cache:save_token_to_cache(TOKEN)
    assert.is_nil(ok)
    assert.equal("cache", err.kind)
    server:restart()
  end)

  it("does not repeat what the server echoes of a token", function()
    client.set = function(self, key, bytes) return self:raw_cmd("SETT", key, bytes) end
    client.raw_cmd = function(_, _, key, bytes)
      error(("ERR unknown command 'SETT', with args beginning with: '%s' '%s'"):format(key, bytes))
    end
    local _, err = cache:save_token_to_cache(TOKEN)
    assert.truthy(tostring(err):find("unknown command", 1, true))
    assert.is_nil(tostring(err):find("a-token", 1, true))
  end)

  it("has no lock", function()
    assert.is_nil(cache.try_lock)
    assert.is_nil(cache.unlock)
  end)
end)

--- A client that answers with what it is given, after a yield where that is asked for.
local function client_answering(value, second, third)
  local function method()
    coroutine.yield "waiting"
    return value, second, third
  end
  return { get = method, set = method, del = method }
end

local function in_coroutine(fn)
  local thread = coroutine.create(fn)
  local yields, results = 0, { coroutine.resume(thread) }
  while coroutine.status(thread) == "suspended" do
    assert.equal("waiting", results[2])
    yields = yields + 1
    results = { coroutine.resume(thread) }
  end
  assert(results[1], results[2])
  return yields, results[2], results[3]
end

local function read(...)
  local cache = tokencache.cache.redis { client = client_answering(...) }
  local yields, info, err = in_coroutine(function() return cache:get_cached_token() end)
  assert.equal(1, yields)
  return info, err
end

describe("a client object", function()
  it("says in many ways that there is nothing", function()
    for _, nothing in ipairs { false, json.null, io.stdout } do
      assert.same({}, { read(nothing) })
    end
    assert.same({}, { read() })
    assert.same({}, { read(nil, nil) })
  end)

  it("says in several ways that it failed", function()
    for _, answer in ipairs { { nil, "timeout" }, { nil, nil, "timeout" }, { false, "timeout" } } do
      local info, err = read(answer[1], answer[2], answer[3])
      assert.is_nil(info)
      assert.equal("cache", err.kind)
      assert.equal("token_info: the store's get failed: timeout", tostring(err))
    end
  end)

  it("is not believed when it returns something odd", function()
    local info, err = read { "not", "bytes" }
    assert.is_nil(info)
    assert.equal("cache", err.kind)
  end)

  it("may yield in every method, on every Lua", function()
    local cache = tokencache.cache.redis { client = client_answering(nil, "timeout") }
    for _, method in ipairs { "save_token_to_cache", "remove_cached_token" } do
      local yields, ok, err = in_coroutine(function()
        return cache[method](cache, method == "save_token_to_cache" and TOKEN or nil)
      end)
      assert.equal(1, yields)
      assert.is_nil(ok)
      assert.truthy(tostring(err):find("timeout", 1, true))
    end
  end)

  it("need not be able to delete, nor to set a time to live", function()
    local kept = {}
    local cache = tokencache.cache.redis { ttl = 10, key = { "user", "a" }, client = {
      get = function(_, key) return kept[key] end,
      set = function(_, key, bytes, ...)
        assert.equal(0, select("#", ...))
        kept[key] = bytes
      end,
    } }
    assert.is_true(cache:save_token_to_cache(TOKEN))
    assert.same(TOKEN, cache:get_cached_token())
    assert.is_nil(cache.remove_cached_token)
  end)
end)

describe("protected", function()
  it("returns as pcall does", function()
    assert.same({ true, 1, nil, 3 }, { protected(function(...) return ... end, 1, nil, 3) })
    local problem = {}
    local ok, raised = protected(function() error(problem) end)
    assert.is_false(ok)
    assert.equal(problem, raised)
  end)

  it("lets the function yield and raise after it", function()
    local thread = coroutine.create(function(...)
      return protected(function(a)
        local b = coroutine.yield(a)
        error("after " .. b, 0)
      end, ...)
    end)
    assert.same({ true, "a" }, { coroutine.resume(thread, "a") })
    assert.same({ true, false, "after b" }, { coroutine.resume(thread, "b") })
  end)

  it("does so on Lua 5.1, also where that is not what runs these tests", function()
    local code, output = process.run { "lua5.1", "-e", [[
      package.path = "lua/?.lua"
      local protected = require "tokencache.util.protected"
      assert(protected ~= pcall)
      local thread = coroutine.wrap(function() return protected(coroutine.yield, 1) end)
      assert(thread() == 1)
      local ok, two = thread(2)
      assert(ok and two == 2)]] }
    assert.equal(0, code, output)
  end)
end)
