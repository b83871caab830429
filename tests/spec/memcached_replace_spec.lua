local expect = require "support.cache_failure"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local replacing = require "support.replacing"
local scripted_server = require "support.scripted_server"
local store = require("tokencache").store

local server

local function new_store(options)
  options = options or {}
  options.servers = options.servers or { server.address }
  return store.memcached(options)
end

--- Seconds that the server still keeps the entry; -1: for good.
local function seconds_left(key)
  return tonumber(server:ask("mg " .. key .. " t"):match("^HD t(%-?%d+)$"))
end

setup(function() server = memcached_server.start() end)
teardown(function() server:stop() end)

local PROTOCOLS = { ["text protocol"] = "", ["binary protocol"] = "--BINARY-PROTOCOL" }

for name, options in pairs(PROTOCOLS) do
  describe("a memcached store, " .. name .. ", replaces", function()
    local one

    before_each(function()
      server:ask("flush_all")
      one = new_store { options = options }
    end)

    replacing("store.memcached", function() return one end, seconds_left)

    it("an entry whose key memcached does not take", function()
      local key = ("a b"):rep(100)
      assert.is_true(one:replace(key, nil, "old"))
      assert.is_true(one:replace(key, "old", "new"))
      local padded = one:can_save(key, "new")
      assert.is_string(padded)
      assert.is_true(one:replace(key, padded, nil))
      assert.is_nil((one:get(key)))
    end)

    it("with a time to live of more than thirty days", function()
      assert.is_true(one:replace("l", nil, "new", 40 * 86400))
      assert(seconds_left "l" > 40 * 86400 - 10)
    end)

    it("nothing by an entry that is larger than the server takes, and says so before", function()
      local small = ("x"):rep(1024 * 1024 - 1000)
      assert.is_true(one:set("k", small, 1000))
      for _ = 1, 2 do
        local saved, err = one:replace("k", small, ("x"):rep(1024 * 1024 + 1), 1000)
        expect("E2BIG", saved, err)
        assert.is_true(one:get "k" == small)
        saved, err = one:can_save("k", small, 1000)
        expect("E2BIG", saved, err)
        assert.is_true(one:get "k" == small)
      end
      assert(seconds_left "k" > 900)
    end)

    it("nothing where the server has no memory left, and says so before", function()
      local full = memcached_server.start { "-M", "-m", "2", "-I", "512k" }
      finally(function() full:stop() end)
      local store_there = new_store { servers = { full.address }, options = options }
      local small = ("s3cret"):rep(100)
      assert.is_true(store_there:set("k", small))
      local count, ok, err = 0
      for more = 0, 2048, 128 do -- the server keeps memory apart for each size of entries
        repeat
          count = count + 1
          ok, err = store_there:set("filler " .. count, ("x"):rep(#small + more))
        until not ok
      end
      expect("SERVER_MEMORY_ALLOCATION_FAILURE", ok, err)
      ok, err = store_there:can_save("k", small)
      expect("SERVER_MEMORY_ALLOCATION_FAILURE", ok, err)
      assert.is_nil(tostring(err):find("s3cret", 1, true))
      assert.equal(small, store_there:get "k")
    end)
  end)
end

describe("a memcached store", function()
  it("replaces an entry that ten processes begin with for one of them", function()
    server:ask("flush_all")
    new_store():set("k", "old")
    local children = {}
    for i = 1, 10 do
      children[i] = process.start(process.lua([[
        local address, name = ...
        local store = require("tokencache").store.memcached { servers = { address } }
        io.write(tostring(store:replace("k", "old", "of " .. name)))]], server.address, i))
    end
    local winners = {}
    for i, child in ipairs(children) do
      child:wait()
      if child:output() == "true" then
        winners[#winners + 1] = "of " .. i
      end
    end
    assert.same({ (new_store():get "k") }, winners)
  end)

  it("asks for versions where a server keeps none, before a token is spent", function()
    local other = memcached_server.start { "-C" }
    finally(function() other:stop() end)
    local one = store.memcached { servers = { other.address } }
    assert.is_true(one:replace("k", nil, "old"))
    assert.is_false((one:replace("k", "another", "new")))
    for _, result in ipairs { { one:replace("k", "old", "new") }, { one:can_save("k", "old") } } do
      assert.is_nil(result[1])
      assert.equal("cache", result[2].kind)
      assert.truthy(tostring(result[2]):find("start memcached without -C", 1, true))
    end
    assert.equal("old", one:get "k")
  end)

  it("cannot list its keys, and does not pretend to", function()
    assert.is_nil(new_store().keys)
  end)

  it("is known by its servers and libmemcached's options", function()
    local memcached = store.memcached
    assert.equal("memcached:127.0.0.1:11211", memcached().identity)
    assert.equal("memcached:b:2, a:1",
      memcached({ servers = { "b:2", "a:1" }, timeout = 3 }).identity)
    assert.equal('memcached:a:1 --NAMESPACE="app:"',
      memcached({ servers = { "a:1" }, options = '--NAMESPACE="app:"' }).identity)
  end)
end)

describe("a memcached server that closes", function()
  local scripted
  after_each(function() scripted:stop() end)

  local OLD, NEW = "VALUE k 0 3 7\r\nold\r\nEND\r\n", "VALUE k 0 3 8\r\nnew\r\nEND\r\n"

  local function change_at(bytes, ...)
    scripted = scripted_server.start { ... }
    return new_store({ servers = { "127.0.0.1:" .. scripted.port } }):replace("k", "old", bytes)
  end

  local function replace_at(...)
    return change_at("new", ...)
  end

  it("before it says whether it has replaced is asked again, and had", function()
    assert.is_true((replace_at({ OLD, "close" }, { "EXISTS\r\n", NEW })))
  end)

  it("before it says whether it has replaced is asked again, and had not", function()
    assert.is_true((replace_at({ OLD, "close" }, { "STORED\r\n" })))
  end)

  it("before it says whether it has replaced is asked again, and another has since", function()
    assert.is_false((replace_at({ OLD, "close" }, { "EXISTS\r\n",
      "VALUE k 0 5 9\r\nother\r\nEND\r\n" })))
  end)

  it("before it says whether it has deleted is asked again, and had", function()
    assert.is_true((change_at(nil, { OLD, "close" }, { "NOT_FOUND\r\n", "END\r\n" })))
  end)

  it("before it says whether it has deleted is asked again, and another has saved", function()
    assert.is_false((change_at(nil, { OLD, "close" }, { "EXISTS\r\n", NEW })))
  end)

  it("no connection, but has no entry any more, has not deleted it for us", function()
    assert.is_false((change_at(nil, { OLD, "NOT_FOUND\r\n", "END\r\n" })))
  end)

  it("no connection, but has the very bytes of another, is not believed", function()
    assert.is_false((replace_at { OLD, "EXISTS\r\n", NEW }))
  end)

  it("before it says whether it has added is asked again, and had", function()
    scripted = scripted_server.start { { "close" }, { "NOT_STORED\r\n",
      "VALUE k 0 3\r\nnew\r\nEND\r\n" } }
    assert.is_true((new_store({ servers = { "127.0.0.1:" .. scripted.port } })
      :replace("k", nil, "new")))
  end)

  it("no connection and never ends with its changes is not asked for ever", function()
    assert.is_false((replace_at { OLD, "EXISTS\r\n", OLD, "EXISTS\r\n", OLD, "EXISTS\r\n" }))
  end)
end)
