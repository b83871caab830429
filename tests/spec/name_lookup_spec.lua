-- A name server that does not answer: a call ends when its time for connecting is over.

local memcached_server = require "support.memcached_server"
local mounts = require "support.mounts"
local process = require "support.process"
local redis_server = require "support.redis_server"
local socket = require "socket"
local suite = require "support.suite"

local SILENT = "127.0.0.153" -- has a name server that reads nothing

describe("where the name server does not answer", function()
  local directory, hosts, memcached, redis, silent

  setup(function()
    directory = process.temporary_directory()
    hosts = directory .. "/hosts"
    process.write_file(directory .. "/resolv.conf", "nameserver " .. SILENT .. "\n")
    memcached, redis = memcached_server.start(), redis_server.start()
    silent = assert(socket.udp())
    if not silent:setsockname(SILENT, 53) then
      silent:close()
      silent = nil
    end
  end)

  teardown(function()
    memcached:stop()
    redis:stop()
    if silent then silent:close() end
    process.remove_directory(directory)
  end)

  before_each(function()
    process.write_file(hosts, "127.0.0.1 localhost\n")
  end)

  local function run(script, ...)
    local line = ("cd %s && mount --bind hosts /etc/hosts && "
      .. "mount --bind resolv.conf /etc/resolv.conf && cd - >/dev/null"):format(directory)
    local code, output = process.run(mounts.own(line, process.lua(script, hosts, ...)))
    assert.equal(0, code, output)
    return output
  end

  local function may_run()
    return silent and mounts.are_possible()
  end

  --- Asks a host that nobody knows, which is then made known.
  local SCRIPT = [[
    local takes = require("support.deadline").takes
    local tokencache = require "tokencache"
    local hosts, port = ...
    local function try(store)
      local _, err = takes(0.3, function() return store:get "k" end)
      print(err)
      local file = assert(io.open(hosts, "a"))
      file:write("127.0.0.1 nowhere.test\n")
      file:close()
      local tries = 0
      repeat -- a busy machine may take longer than that, too
        tries = tries + 1
        assert(tries < 100, "it is not looked up again")
      until store:set("k", "found")
      print(store:get "k")
    end
  ]]

  it("a call to Redis ends in time, and the next one looks again", function()
    if not may_run() then return pending(mounts.RIGHT .. ", and port 53") end
    local output = run(SCRIPT .. [[
      try(tokencache.store.redis { host = "nowhere.test", port = tonumber(port),
        connect_timeout = 0.3 })
    ]], redis.port)
    assert.equal(("nowhere.test:%d: Redis: no connection: the host's name was not looked up in "
      .. "time; try again later, or raise the timeout\nfound\n"):format(redis.port), output)
  end)

  it("a call to memcached ends in time, and the next one looks again", function()
    if not may_run() then return pending(mounts.RIGHT .. ", and port 53") end
    local output = run(SCRIPT .. [[
      try(tokencache.store.memcached { servers = { "nowhere.test:" .. port },
        connect_timeout = 0.3 })
    ]], memcached.port)
    assert.equal(("nowhere.test:%d: memcached: no connection in time; check the server, the "
      .. "network and what looks up its name, or raise connect_timeout=\nfound\n")
      :format(memcached.port), output)
  end)

  it("many calls leave no more than dozens of threads", function()
    if not may_run() then return pending(mounts.RIGHT .. ", and port 53") end
    local output = run([[
      local tokencache = require "tokencache"
      local store = tokencache.store.redis { host = "nowhere.test", connect_timeout = 0.001 }
      for _ = 1, 200 do
        local _, err = store:get "k"
        assert(err.code == "TIMEOUT", err)
      end
      for line in io.lines "/proc/self/status" do
        print(line:match "^Threads:%s+(%d+)")
      end
    ]]):match "%d+"
    assert(tonumber(output) > 1 and tonumber(output) < 100, output)
  end)
end)

describe("where the system gives no thread", function()
  it("a server is found by its name all the same", function()
    if suite.is_sanitized then return pending "a sanitizer takes no such stacks" end
    local redis, memcached = redis_server.start(), memcached_server.start()
    finally(function()
      redis:stop()
      memcached:stop()
    end)
    local code, output = process.run(process.behind({ "prlimit", "--stack=1000000000000000" },
      process.lua([[
        local store = require("tokencache").store
        local redis, memcached = ...
        print(store.redis { host = "localhost", port = tonumber(redis) }:set("k", "v"))
        print(store.memcached { servers = { "localhost:" .. memcached } }:set("k", "v"))
      ]], redis.port, memcached.port)))
    assert.equal("0 true\ntrue\n", code .. " " .. output)
  end)
end)
