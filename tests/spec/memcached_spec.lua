local cache = require("tokencache").cache
local core = require "tokencache._core"
local folder = require "support.folder"
local in_registry = require "support.in_registry"
local json = require "tokencache.json"
local key_names = require "tokencache.store.memcached_key"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local store = require("tokencache").store

local server

setup(function() server = memcached_server.start() end)
teardown(function() server:stop() end)

local function new_store(options)
  options = options or {}
  options.servers = options.servers or { server.address }
  return store.memcached(options)
end

--- Seconds that the server still keeps the entry; -1: for good.
local function seconds_left(key)
  return tonumber(server:ask("mg " .. key .. " t"):match("^HD t(%-?%d+)$"))
end

local PROTOCOLS = { ["text protocol"] = "", ["binary protocol"] = "--BINARY-PROTOCOL" }

for name, options in pairs(PROTOCOLS) do
  describe("a memcached store, " .. name .. ",", function()
    local one

    before_each(function()
      server:ask("flush_all")
      one = new_store { options = options }
    end)

    it("keeps nothing of an entry that is deleted, or was found to be gone", function()
      for _, remove in ipairs {
        function() one:delete "k" end,
        function()
          server:ask "delete k"
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

    it("keeps bytes as they are", function()
      local all = {}
      for byte = 0, 255 do
        all[byte + 1] = string.char(byte)
      end
      for _, bytes in ipairs { "", "\r\nEND\r\n", table.concat(all), ("x"):rep(500000) } do
        assert.is_true(one:set("k", bytes))
        assert.equal(bytes, one:get "k")
      end
    end)

    it("tells a miss from a failure", function()
      assert.same({}, { one:get "nothing" })
      assert.is_true(one:delete "nothing")
      assert.is_true(one:set("k", "v"))
      assert.is_true(one:delete "k")
      assert.is_nil((one:get "k"))
    end)

    it("refuses an entry that is larger than the server takes, and goes on", function()
      local saved, err = one:set("k", ("s3cret"):rep(200000))
      assert.is_nil(saved)
      assert.same({ "cache", "E2BIG" }, { err.kind, err.code })
      assert.equal(server.address .. ": memcached: the entry is larger than the server takes; "
        .. "raise its limit (memcached -I)", tostring(err))
      assert.is_true(one:set("k", "v"))
      assert.equal("v", one:get "k")
    end)

    it("has entries end in whole seconds, rounded up", function()
      for ttl, wanted in pairs { [100] = 100, [99.001] = 100, [0.5] = 1, [2592000] = 2592000 } do
        local began
        local left = process.wait_until("an entry to be seen before the next second", function()
          began = core.monotonic()
          assert.is_true(one:set("k", "v", ttl))
          return seconds_left "k"
        end)
        local passed = core.monotonic() - began
        assert.is_true(left <= wanted + 1 and left >= wanted - 1 - passed,
          ttl .. " became " .. tostring(left))
      end
    end)

    it("takes no TTL of more than thirty days for a date that is past", function()
      for _, ttl in ipairs { 2592001, 180 * 86400, 10 * 365 * 86400 } do
        assert.is_true(one:set("k", "v", ttl))
        assert.equal("v", one:get "k")
        local left = seconds_left "k"
        assert.is_true(left <= ttl + 1 and left >= ttl - 100, ttl .. " became " .. left)
      end
      assert.is_true(one:set("k", "v", 1e12)) -- beyond what memcached has dates for
      assert.equal(-1, seconds_left "k")
    end)

    it("takes no TTL that is over for one without an end", function()
      for _, ttl in ipairs { 0, -1, -0.5, -1e12, 0 / 0 } do
        assert.is_true(one:set("k", "before"))
        assert.is_true(one:set("k", "v", ttl))
        assert.is_nil((one:get "k"))
      end
      assert.is_true(one:set("k", "v"))
      assert.equal(-1, seconds_left "k")
    end)

    it("keeps keys apart that memcached would cut or mix up", function()
      local keys = { "", "a", "a b", "a  b", "a\nb", "a\r\nset b 0 0 1\r\n", "a\0", "\127",
        "Zo\195\171", "tokencache:sha256:x", "tokencache:lock:x" }
      for _, length in ipairs { 249, 250, 251, 252, 1000, 70000 } do
        keys[#keys + 1] = ("k"):rep(length)
      end
      for i, key in ipairs(keys) do
        assert.is_true(one:set(key, "value " .. i))
      end
      for i, key in ipairs(keys) do
        assert.equal("value " .. i, one:get(key))
      end
      for i, key in ipairs(keys) do
        assert.is_true(one:delete(key))
        assert.same({ keys[i + 1] and "value " .. i + 1 }, { one:get(keys[i + 1] or key) })
      end
    end)

    it("locks: one holder, until it unlocks", function()
      local handle = assert(one:try_lock("k", 10))
      assert.is_false((one:try_lock("k", 10)))
      assert.is_false((new_store():try_lock("k", 10)))
      assert.is_truthy((one:try_lock("other", 10)))
      assert.is_nil((one:get "k"))
      assert.is_true(one:unlock(handle))
      assert.is_true(one:unlock(handle))
      assert.is_truthy((one:try_lock("k", 10)))
    end)

    it("never releases nor extends another's lock", function()
      local first = assert(one:try_lock("k", 10))
      assert.is_true(one:unlock(first))
      local second = assert(one:try_lock("k", 10))
      assert.is_true(one:unlock(first))
      assert.is_false((one:extend_lock(first, 10)))
      assert.is_false((one:try_lock("k", 10)))
      assert.is_true(one:extend_lock(second, 10))
    end)

    it("has locks end by themselves, and live on where they are extended #c", function()
      local ends, lives = assert(one:try_lock("ends", 0.1)), assert(one:try_lock("lives", 20))
      assert.is_true((seconds_left(ends.name) or 0) <= 2)
      assert.is_true(one:extend_lock(lives, 100))
      assert.is_true(seconds_left(lives.name) > 90)
      process.wait_until("the lock to end", function() return (one:try_lock("ends", 10)) end)
      assert.is_false((one:extend_lock(ends, 10)))
      assert.is_true(one:unlock(ends))
      assert.is_false((one:try_lock("ends", 10)))
      assert.is_false((one:try_lock("lives", 10)))
    end)

    it("has locks that another store may release", function()
      local handle = assert(one:try_lock("k", 10))
      assert.same({ "name", "owner" }, { next(handle) and "name", handle.owner and "owner" })
      assert.is_true(new_store { options = options, timeout = 4 }:unlock(handle))
      assert.is_truthy((one:try_lock("k", 10)))
    end)
  end)
end

describe("memcached keys", function()
  it("stay as they are wherever memcached takes them", function()
    for _, key in ipairs { "token_info", "user:1", "Zo\195\171", ("k"):rep(250) } do
      assert.equal(key, key_names.place(key))
    end
  end)

  it("are digests where it does not, whole and in a place no key has", function()
    local seen = {}
    for _, key in ipairs { "", "a b", "a\tb", ("k"):rep(251), ("k"):rep(252),
      "tokencache:lock:a" } do
      local place = key_names.place(key)
      assert.matches("^tokencache:sha256:[%w_-]+$", place)
      assert.is_nil(seen[place])
      seen[place] = true
    end
    assert.matches("^tokencache:lock:[%w_-]+$", key_names.lock "a")
    assert.not_equal(key_names.lock "a", key_names.lock "b")
  end)

  it("stay apart where stores share a client, asked in any order", function()
    local first, second, long = new_store(), new_store(), ("k"):rep(300)
    for _, key in ipairs { "a", "b", long } do
      assert.is_true(first:set(key, "of " .. key))
    end
    for _, key in ipairs { "a", "a", "b", long, long, "a" } do
      assert.equal("of " .. key, first:get(key))
      assert.equal("of " .. (key == "a" and "b" or "a"), second:get(key == "a" and "b" or "a"))
      assert.equal("of " .. key, first:get(key))
    end
  end)

  it("make room for a namespace", function()
    local one = new_store { options = '--NAMESPACE="app:"' }
    for _, length in ipairs { 246, 247, 250 } do
      local key = ("k"):rep(length)
      assert.is_true(one:set(key, "v" .. length))
      assert.equal("v" .. length, one:get(key))
      assert.equal(length == 246, server:ask("mg app:" .. key) == "HD")
    end
  end)
end)

describe("cache.memcached", function()
  before_each(function() server:ask("flush_all") end)

  --- As the reference does: plain JSON, no flags.
  local function put(key, text)
    assert.equal("STORED", server:ask(("set %s 0 0 %d"):format(key, #text), text))
  end

  it("reads what spotipy wrote", function()
    for _, name in ipairs { "authorization_code", "pkce", "unicode_extra" } do
      local text = process.read_file("tests/fixtures/spotipy/" .. name .. ".json")
      put("token_info", text)
      local info = assert(cache.memcached({ servers = { server.address } }):get_cached_token())
      assert.equal(json.decode(text).access_token, info.access_token)
      assert.equal(json.decode(text).refresh_token, info.refresh_token)
    end
  end)

  it("writes what spotipy reads", function()
    local handler = cache.memcached { servers = { server.address }, key = "ann" }
    local given = { access_token = "t", refresh_token = "r", scope = "a", expires_at = 1760003600 }
    assert.is_true(handler:save_token_to_cache(given))
    local flags, text = server:ask("get ann"):match("^VALUE ann (%d+) %d+\n(.*)\nEND$")
    assert.equal("0", flags)
    assert.same(given, json.decode(text))
  end)

  it("keeps a token as long as it is of use, or as told", function()
    local now = math.floor(core.now())
    local handler = cache.memcached { servers = { server.address }, key = "ann" }
    handler:save_token_to_cache { access_token = "t", expires_at = now + 3600 }
    assert.is_true(seconds_left "ann" > 3500 and seconds_left "ann" <= 3600)
    handler:save_token_to_cache { access_token = "t", expires_at = now + 60, refresh_token = "r" }
    assert.equal(-1, seconds_left "ann")
    handler:save_token_to_cache({ access_token = "t", refresh_token = "r" }, now + 180 * 86400)
    assert.is_true(seconds_left "ann" > 180 * 86400 - 10)
    cache.memcached({ servers = { server.address }, key = "ann", ttl = 40 * 86400 })
      :save_token_to_cache { access_token = "t" }
    assert.is_true(seconds_left "ann" > 40 * 86400 - 10)
  end)

  it("has a failure of what it cannot read, and shows nothing of it", function()
    put("ann", "pickled s3cret")
    local handler = cache.memcached { servers = { server.address }, key = "ann" }
    local info, err = handler:get_cached_token()
    assert.is_nil(info)
    assert.equal("cache", err.kind)
    assert.is_nil(tostring(err):find("s3cret", 1, true))
  end)

  it("works over a client object, TTL and odd keys included", function()
    local sets = {}
    local rows = {}
    local client = { -- in the manner of lua-resty-memcached
      get = function(_, key) return rows[key], 0, nil end,
      set = function(_, key, bytes, exptime)
        sets[#sets + 1] = exptime or "none"
        rows[key] = bytes
        return 1
      end,
      delete = function(_, key)
        if not rows[key] then
          return nil, "NOT_FOUND"
        end
        rows[key] = nil
        return 1
      end,
    }
    local now = math.floor(core.now())
    local handler = cache.memcached { client = client, key = "a b" }
    assert.is_true(handler:remove_cached_token())
    handler:save_token_to_cache { access_token = "t", expires_at = now + 1000 }
    handler:save_token_to_cache { access_token = "t", refresh_token = "r" }
    cache.memcached({ client = client, ttl = 2592000 }):save_token_to_cache { access_token = "t" }
    cache.memcached({ client = client, ttl = 2592001 }):save_token_to_cache { access_token = "t" }
    assert.is_true(sets[1] <= 1000 and sets[1] > 900)
    assert.same({ "none", 2592000 }, { sets[2], sets[3] })
    assert.is_true(sets[4] >= now + 2592001 and sets[4] < now + 2592100)
    handler:save_token_to_cache { access_token = "t", expires_at = 2 ^ 31 - 10 }
    handler:save_token_to_cache { access_token = "t", expires_at = 2 ^ 31 + 10 }
    assert.is_true(sets[5] >= 2 ^ 31 - 11 and sets[5] < 2 ^ 31)
    assert.equal("none", sets[6]) -- memcached has no later dates
    assert.matches("^tokencache:sha256:", next(rows) ~= "token_info" and next(rows)
      or next(rows, "token_info"))
    assert.equal("t", handler:get_cached_token().access_token)
    assert.is_true(handler:remove_cached_token())
    assert.is_nil((handler:get_cached_token()))
  end)
end)

describe("store.memcached", function()
  it("speaks over a Unix socket", function()
    local directory = folder.new()
    local local_server
    finally(function()
      if local_server then
        local_server:stop()
      end
      directory:remove()
    end)
    local path = directory:file("socket")
    local_server = memcached_server.start({}, path)
    local one = store.memcached { servers = { path } }
    assert.is_true(one:set("k", "v"))
    assert.equal("v", one:get "k")
    assert.equal("tokencache.store.memcached: " .. path, tostring(one))
  end)

  it("takes the servers that the options name", function()
    local one = store.memcached { options = "--SERVER=" .. server.address }
    assert.is_true(one:set("k", "v"))
    assert.equal("v", new_store():get "k")
  end)

  it("names an option that is wrong", function()
    local wrong = {
      ["servers must be a table"] = { servers = "127.0.0.1" },
      ["servers must be a list of strings that is not empty"] = { servers = {} },
      ["servers must be a list of strings"] = { servers = { "a", 1 } },
      ['servers: "a:0" is none; write host:port'] = { servers = { "a:0" } },
      ['servers: "%[::1" is none'] = { servers = { "[::1" } },
      ['servers: "a:65536" is none'] = { servers = { "a:65536" } },
      ["unknown option server"] = { server = "a" },
      ["timeout must be a number above zero"] = { timeout = 0 },
      ['options: libmemcached does not take "%-%-NO%-SUCH"'] = { options = "--NO-SUCH" },
      ["options: %-%-NOREPLY is not for a cache"] = { options = "--NOREPLY" },
      ["options: %-%-BUFFER%-REQUESTS is not for"] = { options = "--BUFFER-REQUESTS" },
      ["options: give timeout= and connect_timeout="] = { options = "--POLL-TIMEOUT=5" },
    }
    for message, options in pairs(wrong) do
      assert.error_matches(function() store.memcached(options) end, "store.memcached: " .. message)
    end
    local _, message = pcall(function() cache.memcached { options = "--NO-SUCH" } end)
    assert.matches("memcached_spec.lua:%d+: cache.memcached: options: libmemcached", message)
    _, message = pcall(function() cache.memcached { client = store.memory(), key = "" } end)
    assert.matches("memcached_spec.lua:%d+: cache.memcached: key must be a string", message)
  end)

  it("connects to nothing before it is used", function()
    assert.equal("tokencache.store.memcached: 127.0.0.1:1, nowhere.invalid:5",
      tostring(store.memcached { servers = { "127.0.0.1:1", "nowhere.invalid:5" } }))
  end)
end)
