local cache_failure = require "support.cache_failure"
local core = require "tokencache._core"
local in_registry = require "support.in_registry"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local server

local function store(options)
  options = options or {}
  options.port = server.port
  return tokencache.store.redis(options)
end

describe("store.redis", function()
  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:cli("FLUSHALL") end)

  it("keeps bytes by key", function()
    local one = store()
    assert.same({}, { one:get "k" })
    assert.is_true(one:set("k", "a\0\r\n\255"))
    assert.equal("a\0\r\n\255", one:get "k")
    assert.is_true(one:set("k", ""))
    assert.equal("", one:get "k")
    assert.is_true(one:delete "k")
    assert.is_true(one:delete "k")
    assert.same({}, { one:get "k" })
  end)

  it("keeps nothing of an entry that is deleted, or was found to be gone", function()
    local one = store()
    for _, remove in ipairs {
      function() one:delete "k" end,
      function()
        server:cli("DEL", "k")
        one:get "k"
      end,
    } do
      one:set("k", "a secret")
      assert.equal("a secret", one:get "k")
      assert.is_true(in_registry "a secret") -- for the next look
      remove()
      assert.is_false(in_registry "a secret")
    end
  end)

  it("takes any bytes as a key", function()
    local one = store()
    for _, key in ipairs { " ", "\0", "a\r\nDEL b", ("k"):rep(10000), "\255" } do
      assert.is_true(one:set(key, "of " .. key))
      assert.equal("of " .. key, one:get(key))
    end
  end)

  it("keeps values of megabytes", function()
    local bytes = ("0123456789abcdef"):rep(2 ^ 18)
    assert.is_true(store():set("k", bytes))
    assert.is_true(store():get "k" == bytes)
  end)

  it("gives entries a time to live in milliseconds, or none", function()
    local one = store()
    one:set("k", "v", 100)
    local left = tonumber(server:cli("PTTL", "k"))
    assert(left > 90000 and left <= 100000, left)
    one:set("k", "v")
    assert.equal("-1", server:cli("PTTL", "k"))
    for _, ttl in ipairs { 1e16, 10 ^ 300, math.huge } do
      assert.is_true(one:set("k", "v", ttl))
      assert(tonumber(server:cli("PTTL", "k")) > 9e12)
    end
    one:set("k", "v", 1e-9)
    process.wait_until("the entry to end", function() return one:get "k" == nil end)
  end)

  it("uses the database it is told to", function()
    assert.is_true(store({ db = 3 }):set("k", "in 3"))
    assert.is_nil(store():get "k")
    assert.equal("in 3", server:cli("-n", 3, "GET", "k"))
  end)

  it("goes through a Unix socket", function()
    local one = tokencache.store.redis { path = server.path }
    assert.is_true(one:set("k", "v"))
    assert.equal("v", store():get "k")
    assert.equal("tokencache.store.redis: " .. server.path, tostring(one))
  end)

  it("finds a host by its name, and by its address of IPv6", function()
    assert.is_true(store({ host = "localhost" }):set("k", "v"))
    local _, err = tokencache.store.redis({ host = "::1", port = server.port }):get "k"
    assert.equal("CONNECT", err.code) -- the server listens on IPv4 only
    assert.truthy(tostring(err):find("[::1]:" .. server.port, 1, true))
  end)

  it("shares one connection between stores of the same options", function()
    local function connections()
      return tonumber(server:cli("INFO", "stats"):match("total_connections_received:(%d+)"))
    end
    store { timeout = 3 }:get "k"
    local before = connections()
    for _ = 1, 5 do
      store { timeout = 3 }:get "k"
    end
    assert.equal(before + 1, connections()) -- the one is redis-cli's
    store { timeout = 4 }:get "k"
    assert.equal(before + 3, connections())
  end)

  it("took the password \"nil\" for none, and shared a connection", function()
    assert.is_true(store():set("k", "v"))
    local bytes, err = store({ password = "nil" }):get "k"
    assert.is_nil(bytes)
    assert.truthy(tostring(err):find("password", 1, true), err)
  end)

  describe("locks:", function()
    it("are taken by one at a time, with an owner that nobody can guess", function()
      local one = store()
      local handle = assert(one:try_lock("k", 100))
      assert.is_false((one:try_lock("k", 100)))
      assert.equal(handle.owner, server:cli("GET", handle.name))
      assert.equal(16, #core.base64url_decode(handle.owner))
      local left = tonumber(server:cli("PTTL", handle.name))
      assert(left > 90000 and left <= 100000, left)
      assert.is_true(one:unlock(handle))
      assert.equal("0", server:cli("EXISTS", handle.name))
      assert.are_not.equal(handle.owner, one:try_lock("k", 10).owner)
    end)

    it("end by themselves", function()
      local one = store()
      local handle = assert(one:try_lock("k", 0.05))
      process.wait_until("the lock to end", function() return one:try_lock("k", 10) end)
      assert.is_false(one:extend_lock(handle, 10))
    end)

    it("are extended by their owner alone, from now on", function()
      local one = store()
      local handle = assert(one:try_lock("k", 10))
      assert.is_true(one:extend_lock(handle, 100))
      local left = tonumber(server:cli("PTTL", handle.name))
      assert(left > 90000 and left <= 100000, left)
      assert.is_false(one:extend_lock({ name = handle.name, owner = "another" }, 1000))
      assert(tonumber(server:cli("PTTL", handle.name)) <= 100000)
      assert.is_true(one:unlock(handle))
      assert.is_false(one:extend_lock(handle, 100))
      assert.equal("0", server:cli("EXISTS", handle.name))
    end)

    it("are not released by another, nor by one whose own has ended", function()
      local one = store()
      local handle = assert(one:try_lock("k", 10))
      server:cli("DEL", handle.name) -- as if it had ended
      local newer = assert(one:try_lock("k", 10))
      assert.is_true(one:unlock(handle))
      assert.equal(newer.owner, server:cli("GET", newer.name))
      assert.is_false((one:try_lock("k", 10)))
    end)

    it("are released from another process by their handle", function()
      local handle = assert(store():try_lock("k", 10))
      local code, output = process.run(process.lua([[
        local port, name, owner = ...
        local store = require("tokencache").store.redis { port = tonumber(port) }
        assert(store:unlock { name = name, owner = owner })]], server.port, handle.name,
        handle.owner))
      assert.equal(0, code, output)
      assert.truthy(store():try_lock("k", 10))
    end)

    it("raised an error where libcrypto is missing", function()
      local code, output = process.run(process.lua([[
        package.preload["tokencache._crypto"] = function() error "libcrypto.so.3: cannot open" end
        local store = require("tokencache").store.redis { port = tonumber((...)) }
        local _, err = store:try_lock("k", 10)
        print(err.kind .. ": " .. err)]], server.port))
      assert.equal(0, code, output)
      assert.truthy(output:find("config: libcrypto cannot be loaded; install it", 1, true), output)
    end)

    it("have names that no key can have", function()
      local one = store()
      local handle = assert(one:try_lock("k", 10))
      for _, method in ipairs { "get", "set", "delete" } do
        local result, err = one[method](one, handle.name, "v")
        assert.is_nil(result)
        assert.truthy(tostring(err):find("a key must not start with \"tokencache-lock:\"", 1, true))
      end
      assert.equal(handle.owner, server:cli("GET", handle.name))
    end)
  end)
end)

describe("cache.redis", function()
  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:cli("FLUSHALL") end)

  local function cache(options)
    options = options or {}
    options.port = server.port
    return tokencache.cache.redis(options)
  end

  it("reads what spotipy wrote, under spotipy's key, and writes what it reads", function()
    for _, name in ipairs { "authorization_code", "authorization_code_null_scope",
      "client_credentials", "implicit", "pkce", "unicode_extra" } do
      local text = process.read_file("tests/fixtures/spotipy/" .. name .. ".json")
      server:cli("SET", "token_info", text)
      local info = assert(cache():get_cached_token())
      local theirs = json.decode(text)
      assert.equal(theirs.access_token, info.access_token)
      assert.equal(theirs.refresh_token, info.refresh_token)
      assert.is_true(cache():save_token_to_cache(info))
      assert.same(theirs, json.decode(server:cli("GET", "token_info")))
    end
  end)

  it("keeps an entry as long as it is of use", function()
    local function left(info, options)
      assert.is_true(cache(options):save_token_to_cache(info))
      local milliseconds = tonumber(server:cli("PTTL", "token_info"))
      return milliseconds < 0 and "for good" or milliseconds / 1000
    end
    local now = os.time()
    local token = { access_token = "a", expires_at = now + 3600 }
    local seconds = left(token)
    assert(seconds > 3590 and seconds <= 3601, seconds)
    assert.equal("for good", left { access_token = "a" })
    assert.equal("for good", left {
      access_token = "a", expires_at = now + 3600, refresh_token = "r" })
    seconds = left(token, { ttl = 50 })
    assert(seconds > 40 and seconds <= 50, seconds)
  end)

  it("gives a login the time that the provider gives it", function()
    local now = os.time()
    local flow = tokencache.flow.pkce {
      provider = { name = "p", authorize_url = "https://127.0.0.1/a",
        token_url = "https://127.0.0.1/t", refresh_token_lifetime = 1000 },
      client_id = "c", redirect_uri = "http://127.0.0.1:1/", cache = cache(),
      http = { request = function()
        return { status = 200, body =
          '{"access_token":"new","token_type":"Bearer","expires_in":10,"refresh_token":"r2"}' }
      end },
    }
    assert.is_true(cache():save_token_to_cache {
      access_token = "old", expires_at = now - 1, refresh_token = "r", authorized_at = now - 400 })
    assert.equal("new", flow:get_access_token())
    local left = tonumber(server:cli("TTL", "token_info"))
    assert(left > 580 and left <= 601, left)
  end)

  it("keeps the tokens of users apart", function()
    local alice, bob = cache { key = { "user", "alice" } }, cache { key = { "user", "bob" } }
    alice:save_token_to_cache { access_token = "a" }
    assert.is_nil(bob:get_cached_token())
    assert.is_true(alice:remove_cached_token())
    assert.is_nil(alice:get_cached_token())
  end)

  it("raises for options that are wrong", function()
    for message, options in pairs {
      ["cache.redis: unknown option prt; known are ca_file"] = { prt = 1 },
      ["cache.redis: port must be an integer"] = { port = 1.5 },
      ["cache.redis: unknown option host; known are client, key, ttl"] =
        { client = { get = print, set = print }, host = "h" },
      ["cache.redis: client has no method set"] = { client = { get = print } },
      ["cache.redis: client must be a table or userdata, not a string"] = { client = "c" },
    } do
      local ok, err = pcall(tokencache.cache.redis, options)
      assert.is_false(ok)
      assert.truthy(err:find(message, 1, true), err)
    end
  end)

  it("blames its caller for a wrong key", function()
    for message, key in pairs { ["key must be a string that is not empty"] = "",
      ["a list as key must hold strings and nothing else; tostring"] = { "token", 1 } } do
      local _, err = pcall(function() tokencache.cache.redis { key = key } end)
      assert.matches("redis_spec.lua:%d+: cache.redis: " .. message, err)
    end
  end)
end)

describe("a Redis server that asks who it is", function()
  setup(function()
    server = redis_server.start { "--requirepass", "the-password" }
    server.password = "the-password"
    server:cli("ACL", "SETUSER", "tokens", "on", ">another-one", "~*", "+@all")
    server:cli("ACL", "SETUSER", "reader", "on", ">read-only-word", "~*", "+get")
  end)
  teardown(function() server:stop() end)
  after_each(function() tokencache.set_logger() end)

  it("is told the password", function()
    assert.is_true(store({ password = "the-password" }):set("k", "v"))
    assert.equal("v", store({ password = "the-password", db = 0 }):get "k")
  end)

  it("is told the user's name and password", function()
    assert.is_true(store({ username = "tokens", password = "another-one", db = 2 }):set("k", "v"))
    assert.equal("v", server:cli("-n", 2, "GET", "k"))
  end)

  it("need allow no more than docs/redis.md says", function()
    local page = process.read_file("docs/redis.md")
    local rule = page:match("`ACL SETUSER tokens on >PASSWORD ([^`]+)`")
    server:cli("ACL", "SETUSER", "least", "on", ">another-word")
    for word in rule:gmatch("%S+") do
      server:cli("ACL", "SETUSER", "least", word)
    end
    for db = 0, 1 do
      local one = store { username = "least", password = "another-word", db = db }
      assert.is_true(one:set("token:ann", "v"))
      assert.equal("v", one:get "token:ann")
      local handle = assert(one:try_lock("token:ann", 10))
      assert.is_true(one:extend_lock(handle, 20))
      assert.is_true(one:unlock(handle))
      assert.is_true(one:delete "token:ann")
    end
  end)

  it("is not believed to be empty without them", function()
    local function expect(code, words, options)
      local lines, one = keep_log(), store(options)
      local result, err = one:set("k", "secret-value")
      cache_failure(code, result, err)
      assert.truthy(tostring(err):find("127.0.0.1:" .. server.port, 1, true), tostring(err))
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      for _, text in ipairs { tostring(err), err.description, tostring(one),
        table.concat(lines) } do
        assert.is_nil(text:find("secret-value", 1, true))
        assert.is_nil(text:find("word-", 1, true))
      end
    end
    expect("NOAUTH", "give password=")
    expect("WRONGPASS", "check username= and password=", { password = "word-wrong" })
    expect("WRONGPASS", "check username=", { username = "nobody", password = "word-wrong" })
    expect("ERR", "; check db=", { password = "the-password", db = 99 })
    expect("NOPERM", "let this user run GET, SET, DEL, PEXPIRE, EVAL",
      { username = "reader", password = "read-only-word" })
  end)
end)
