local cache_failure = require "support.cache_failure"
local process = require "support.process"
local redis_server = require "support.redis_server"
local replacing = require "support.replacing"
local scripted_server = require "support.scripted_server"
local store_over = require "tokencache.store.redis_base"
local tokencache = require "tokencache"

local BLANKS = (" "):rep(1024)

local server

local function store(options)
  options = options or {}
  options.port = server.port
  return tokencache.store.redis(options)
end

local function seconds_left(key)
  return tonumber(server:cli("TTL", key))
end

local function expect_failure(code, words, result, err)
  cache_failure(code, result, err)
  assert.truthy(tostring(err):find(words, 1, true), tostring(err))
  assert.is_nil(tostring(err):find("s3cret", 1, true))
end

describe("store.redis replaces", function()
  local one

  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:cli("FLUSHALL")
    one = store()
  end)

  replacing("store.redis", function() return one end, seconds_left, true)

  it("entries of megabytes", function()
    local old, new = ("o"):rep(2 ^ 22), ("n"):rep(2 ^ 22)
    one:set("k", old)
    assert.is_true(one:replace("k", old, new))
    assert.is_true(one:get "k" == new)
  end)

  it("no key of another type, and says so", function()
    server:cli("LPUSH", "k", "x")
    expect_failure("WRONGTYPE", "another program uses this key", one:replace("k", "old", "s3cret"))
    expect_failure("WRONGTYPE", "another program uses this key", one:can_save("k", "s3cret"))
    assert.equal("x", server:cli("LINDEX", "k", 0))
  end)

  it("no lock", function()
    local handle = assert(one:try_lock("k", 10))
    local saved, err = one:replace(handle.name, handle.owner, "new")
    assert.is_nil(saved)
    assert.truthy(tostring(err):find("a key must not start with", 1, true))
    assert.is_nil((one:can_save(handle.name, handle.owner)))
    assert.equal(handle.owner, server:cli("GET", handle.name))
  end)

  it("of many that begin with the same entry for one alone", function()
    one:set("k", "old")
    local code, output = process.run(process.lua([[
      local store = require("tokencache").store.redis { port = tonumber((...)) }
      local stores = { store }
      for i = 2, 10 do
        stores[i] = require("tokencache").store.redis { port = tonumber((...)), timeout = i }
      end
      local saved = 0
      for i, one in ipairs(stores) do
        saved = saved + (one:replace("k", "old", "of " .. i) and 1 or 0)
      end
      print(saved .. " " .. store:get "k")]], server.port))
    assert.equal(0, code, output)
    assert.equal("1 of 1\n", output)
  end)

  describe("again, where the first answer was lost,", function()
    --- Each script that runs is sent twice; `between` runs after the first time.
    local function repeating(between)
      local redis = require "tokencache.worker.redis"
      local redis_options = require "tokencache.store.redis_options"
      local checked = redis_options.check("spec", { port = server.port })
      return store_over(checked, function(options, word, ...)
        local reply, note = redis.call(options, word, ...)
        if word ~= "EVAL" or reply == nil then
          return reply, note
        end
        between()
        return redis.call(options, word, ...), "repeated"
      end)
    end

    it("and has saved it then", function()
      one:set("k", "old")
      local handle, other = assert(one:try_lock("k", 10)), nil
      assert.is_true(repeating(function() end):replace("k", "old", "new", nil, handle))
      assert.is_true(repeating(function() end):replace("l", nil, "new"))
      assert.equal("new", one:get "k")
      local twice = repeating(function()
        one:unlock(handle)
        other = assert(one:try_lock("k", 10))
      end)
      assert.is_true(twice:replace("k", "new", "newer", nil, handle))
      one:unlock(other)
      assert.equal("newer" .. BLANKS, repeating(function() end):can_save("k", "newer"))
    end)

    it("and has deleted it then", function()
      one:set("k", "old")
      assert.is_true(repeating(function() end):replace("k", "old", nil))
      assert.is_nil((one:get "k"))
      one:set("k", "old")
      local twice = repeating(function() one:set("k", "another's") end)
      assert.is_false((twice:replace("k", "old", nil)))
      assert.equal("another's", one:get "k")
    end)

    it("but not where another has saved since", function()
      one:set("k", "old")
      local twice = repeating(function() one:set("k", "another's") end)
      assert.is_false((twice:replace("k", "old", "new")))
      assert.equal("another's", one:get "k")
    end)

    it("and takes nobody else's entry of the same bytes for its own", function()
      one:set("k", "new")
      assert.is_false((one:replace("k", "old", "new")))
    end)
  end)
end)

describe("store.redis shows that it can save", function()
  local one

  before_each(function()
    server = redis_server.start()
    one = store()
  end)
  after_each(function() server:stop() end)

  it("not where the server has no memory left", function()
    server:cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    one:set("k", "s3cret")
    server:cli("CONFIG", "SET", "maxmemory", "1")
    expect_failure("OOM", "raise the server's maxmemory", one:can_save("k", "s3cret"))
    expect_failure("OOM", "raise the server's maxmemory", one:replace("k", "s3cret", "s3cret2"))
    assert.equal("s3cret", one:get "k")
    server:cli("CONFIG", "SET", "maxmemory", "0")
    assert.is_string(one:can_save("k", "s3cret"))
  end)

  it("not where the server is a replica", function()
    one:set("k", "s3cret")
    server:cli("REPLICAOF", "127.0.0.1", "1")
    expect_failure("READONLY", "name the master", one:can_save("k", "s3cret"))
  end)

  it("not where it may write the lock and not the entry", function()
    for _, entry in ipairs { "~other:*", "%R~k" } do
      server:cli("ACL", "SETUSER", "half", "reset", "on", ">word-1234", entry, "~tokencache-lock:*",
        "+get", "+set", "+del", "+pexpire", "+eval")
      local half = store { username = "half", password = "word-1234" }
      one:set("k", "s3cret")
      local handle = assert(half:try_lock("k", 10))
      expect_failure("NOPERM", "let this user run GET, SET, DEL, PEXPIRE, EVAL",
        half:can_save("k", "s3cret", nil, handle))
      assert.is_true(half:unlock(handle))
    end
    server:cli("ACL", "SETUSER", "half", "reset", "on", ">word-1234", "~*", "+get", "+eval")
    expect_failure("NOPERM", "let this user run GET, SET, DEL, PEXPIRE, EVAL",
      store({ username = "half", password = "word-1234" }):can_save("k", "s3cret"))
    assert.equal("s3cret", one:get "k")
  end)

  it("with the rights that docs/redis.md names, and keeps the time to live", function()
    local page = process.read_file("docs/redis.md")
    local rule = page:match("`ACL SETUSER tokens on >PASSWORD ([^`]+)`")
    server:cli("ACL", "SETUSER", "least", "on", ">another-word")
    for word in rule:gmatch("%S+") do
      server:cli("ACL", "SETUSER", "least", word)
    end
    local least = store { username = "least", password = "another-word" }
    local handle = assert(least:try_lock("token:ann", 10))
    assert.is_true(least:replace("token:ann", nil, "v", 100, handle))
    assert.is_string(least:can_save("token:ann", "v", nil, handle))
    local milliseconds = tonumber(server:cli("PTTL", "token:ann"))
    assert(milliseconds > 90000 and milliseconds <= 100000, milliseconds)
    assert.is_true(least:replace("token:ann", "v" .. BLANKS, "w", nil, handle))
    one:set("others", "not theirs")
    assert.same({ { "token:ann" } }, { least:keys "" })
    assert.is_true(least:replace("token:ann", "w", nil, nil, handle))
  end)

  it("not where the server cannot be reached", function()
    local port = server.port
    server:kill()
    local result, err = tokencache.store.redis({ port = port }):can_save("k", "s3cret")
    cache_failure("CONNECT", result, err)
    server:restart()
  end)
end)

describe("store.redis is known", function()
  it("by its server and database, and by nothing else", function()
    local redis = tokencache.store.redis
    assert.equal("redis:127.0.0.1:6379/0", redis().identity)
    assert.equal("redis:127.0.0.1:6379/0", redis({ password = "s3cret", timeout = 1 }).identity)
    assert.equal("redis:10.0.0.5:7000/3", redis({ host = "10.0.0.5", port = 7000, db = 3,
      username = "u", password = "s3cret" }).identity)
    assert.equal("redis:[::1]:6379/0", redis({ host = "::1" }).identity)
    assert.equal("redis:/run/redis.sock/0", redis({ path = "/run/redis.sock" }).identity)
  end)
end)

describe("a server's odd answer to", function()
  it("keys is no list", function()
    for _, text in ipairs { ":7\r\n", "$3\r\n5:a\r\n", "$0\r\n\r\n", "$1\r\nx\r\n" } do
      server = scripted_server.start { { text } }
      local keys, err = store():keys ""
      server:stop()
      cache_failure("PROTOCOL", keys, err)
    end
  end)
end)
