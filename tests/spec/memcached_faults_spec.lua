local check_loss = require "support.server_loss"
local deadline = require "support.deadline"
local expect = require "support.cache_failure"
local folder = require "support.folder"
local forks = require "support.forks"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local loopback = require "support.loopback"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local scripted_server = require "support.scripted_server"
local store_over = require "tokencache.store.memcached_base"
local suite = require "support.suite"
local tokencache = require "tokencache"

local FORKS = suite.is_in_full and 1000 or 50

local function store(servers, options)
  options = options or {}
  options.servers = type(servers) == "table" and servers or { servers }
  return tokencache.store.memcached(options)
end

local logged

before_each(function() logged = keep_log() end)
after_each(function() log.set_logger() end)

local takes = deadline.takes
local LONG = 600 -- seconds

describe("a memcached server that", function()
  local server
  before_each(function() server = memcached_server.start() end)
  after_each(function()
    server.child:signal("CONT")
    server:stop()
  end)

  it("is killed and restarted in mid-loop costs no call", function()
    local one = store(server.address)
    for round = 1, 5 do
      for i = 1, 20 do
        assert.is_true(one:set("k", round .. "-" .. i))
        assert.equal(round .. "-" .. i, one:get "k")
      end
      local handle = assert(one:try_lock("round " .. round, 10))
      server:kill()
      server:restart()
      if round % 2 == 0 then
        assert.is_true(one:unlock(handle)) -- the lock has gone with the server
      else
        logged = keep_log()
        assert.is_truthy(one:try_lock("round " .. round, 10))
        assert.same({ "debug " .. server.address
          .. ": the connection to memcached was lost; made a new one" }, logged)
      end
    end
  end)

  it("is away fails each call at once, and serves again as soon as it is back", function()
    local one = store(server.address)
    assert.is_true(one:set("k", "v"))
    server:kill()
    for _ = 1, 3 do
      assert.equal(server.address .. ": memcached: no connection; check that the server runs, and "
        .. "the network",
        expect("CONNECTION_FAILURE", one:get "k"))
      expect("CONNECTION_FAILURE", one:set("k", "v"))
      expect("CONNECTION_FAILURE", one:delete "k")
      expect("CONNECTION_FAILURE", one:try_lock("k", 1))
    end
    server:restart()
    assert.same({}, { one:get "k" })
    local never = store("127.0.0.1:" .. loopback.free_port())
    assert.matches(": memcached: no connection, or the server closed it; check that it runs",
      expect("CONNECTION_FAILURE", never:get "k"), 1, true)
  end)

  for name, options in pairs { text = "", binary = "--BINARY-PROTOCOL" } do
    it("is frozen fails each call at its deadline, and costs nothing after that #c: " .. name,
      function()
        local one = store(server.address, { timeout = 0.5, connect_timeout = LONG,
          options = options })
        process.wait_until("a connection", function() return one:set("k", "v") end)
        server.child:freeze()
        local message = expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
        assert.equal(server.address .. ": memcached: no answer in time; try again later, or raise "
          .. "timeout=",
          message)
        expect("TIMEOUT", takes(0.5, function() return one:get "k" end)) -- a new connection
        expect("TIMEOUT", takes(0.5, function() return one:set("k", "w") end))
        expect("TIMEOUT", takes(0.5, function() return one:set("k", ("w"):rep(1000000)) end))
        expect("TIMEOUT", takes(0.5, function() return one:try_lock("k", 10) end))
        server.child:signal("CONT")
        local stats = server:ask "stats" -- it is awake
        assert.matches("STAT cmd_get 2\n", stats) -- none was asked again
        process.wait_until("an answer", function() return one:set("other", "x") end)
        process.wait_until("another one", function()
          local value, err = one:get "other"
          return err == nil and assert.equal("x", value) -- and not to what was asked before
        end)
      end)
  end

  it("is frozen is not waited for when a client is closed", function()
    local client = require("tokencache._memcached").open({ server.address }, nil, LONG, LONG)
    assert.is_true(client:set("k", "v"))
    server.child:freeze()
    client:close()
    assert.error_matches(function() client:get("k") end, "memcached: the client is closed")
  end)

  it("leaves the flow its token where it ends in mid-flight", function()
    check_loss(server, tokencache.cache.memcached { servers = { server.address } })
  end)
end)

describe("of three memcached servers", function()
  local KEYS = 300
  local servers, addresses

  before_each(function()
    servers = memcached_server.several(3)
    addresses = servers.addresses
  end)
  after_each(function() servers:stop() end)

  local function fill(one)
    for i = 1, KEYS do
      assert.is_true(one:set("key-" .. i, "value " .. i))
    end
  end

  --- How many keys are found, missed and failed; a wrong value ends the test.
  local function count(one)
    local found, missed, failed = 0, 0, 0
    for i = 1, KEYS do
      local bytes, err = one:get("key-" .. i)
      assert(bytes == nil or bytes == "value " .. i, "another key's value")
      if bytes then
        found = found + 1
      elseif err then
        failed = failed + 1
      else
        missed = missed + 1
      end
    end
    return found, missed, failed
  end

  local function entries(server)
    return tonumber(server:ask("stats"):match("STAT curr_items (%d+)"))
  end

  it("each has its share of the keys, the same for every client", function()
    fill(store(addresses))
    local sum = 0
    for _, server in ipairs(servers) do
      local share = entries(server)
      assert.is_true(share > KEYS / 6 and share < KEYS / 2, share .. " of 300")
      sum = sum + share
    end
    assert.equal(KEYS, sum)
    assert.same({ KEYS, 0, 0 }, { count(store(addresses, { timeout = 4 })) })
  end)

  it("one more takes keys from all and leaves the rest where they were", function()
    fill(store(addresses))
    servers[4] = memcached_server.start()
    addresses[4] = servers[4].address
    local found, missed, failed = count(store(addresses))
    assert.is_true(found > KEYS / 2 and missed > KEYS / 10, found .. " stayed")
    assert.equal(0, failed)
  end)

  it("one that is killed fails its share, the others go on, and it is used once it is back",
    function()
      local one = store(addresses)
      fill(one)
      local share = entries(servers[2])
      servers[2]:kill()
      for _ = 1, 2 do
        assert.same({ KEYS - share, 0, share }, { count(one) })
      end
      local failure
      for i = 1, KEYS do
        local _, err = one:get("key-" .. i)
        failure = failure or err
      end
      assert.truthy(tostring(failure):find(addresses[2] .. ": memcached: no connection", 1, true))
      servers[2]:restart()
      assert.same({ KEYS - share, share, 0 }, { count(one) })
      fill(one)
      assert.equal(share, entries(servers[2]))
    end)

  it("one that is killed is left out where the options say so, and taken back #c", function()
    local one = store(addresses, { options = "--REMOVE-FAILED-SERVERS=1 --RETRY-TIMEOUT=1" })
    fill(one)
    local share = entries(servers[2])
    servers[2]:kill()
    assert.same({ KEYS - share, share, 0 }, { count(one) })
    fill(one)
    assert.same({ KEYS, 0, 0 }, { count(one) })
    servers[2]:restart()
    process.wait_until("the server to be used again", function()
      fill(one)
      return entries(servers[2]) == share
    end)
  end)

  it("one that is frozen holds up no keys but its own #c", function()
    fill(store(addresses))
    local one = store(addresses, { timeout = 0.5, connect_timeout = LONG })
    servers[2].child:freeze()
    finally(function() servers[2].child:signal("CONT") end)
    local found, slow = 0, 0
    for i = 1, KEYS do
      local bytes, err = one:get("key-" .. i)
      if bytes then
        found = found + 1
      else
        expect("TIMEOUT", bytes, err)
        slow = slow + 1
      end
      if slow >= 3 and found > 0 then
        return
      end
    end
    error(("%d found, %d timed out"):format(found, slow))
  end)
end)

describe("a server that", function()
  local server
  after_each(function() server:stop() end)

  local function start(...)
    server = scripted_server.start { ... }
    return store("127.0.0.1:" .. server.port)
  end

  local function start_briefly(...)
    start(...)
    return store("127.0.0.1:" .. server.port, { timeout = 0.5, connect_timeout = LONG })
  end

  it("sends half an answer and no more fails the call at its deadline #c", function()
    for _, half in ipairs { "VAL", "VALUE k 0 10\r\n01234", "VALUE k 0 2\r\nok\r\n", "EN" } do
      local one = start_briefly { half }
      expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
      server:stop()
    end
    local one = start_briefly { "STOR" }
    expect("TIMEOUT", takes(0.5, function() return one:set("k", "v") end))
  end)

  it("closes in mid-answer is asked once more", function()
    local one = start({ "VALUE k 0 10\r\n01234", "hang up" }, { "VALUE k 0 2\r\nok\r\nEND\r\n" })
    assert.equal("ok", one:get "k")
    assert.equal(1, #logged)
    assert.equal(("get k\r\n"):rep(2), server:heard())
  end)

  it("always closes without an answer is asked twice", function()
    local one = start { "close" }
    expect("CONNECTION_FAILURE", one:get "k")
    assert.equal(("get k\r\n"):rep(2), server:heard())
  end)

  it("speaks another protocol is neither taken for memcached nor for an empty one", function()
    for _, garbage in ipairs { "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\1\2\3\r\n",
      "-ERR unknown command\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "STORED\r\n", "OK\r\n" } do
      local bytes, err = start({ garbage }):get "k"
      assert.is_nil(bytes)
      assert.equal("cache", err and err.kind, garbage)
      assert.is_nil(tostring(err):find(garbage:sub(1, 6), 1, true))
      server:stop()
    end
    start {}
  end)

  it("says what is wrong is never a miss, and its words are not repeated", function()
    for answer, code in pairs {
      ["ERROR\r\n"] = "ERROR",
      ["SERVER_ERROR s3cret\r\n"] = "SERVER_ERROR",
      ["CLIENT_ERROR s3cret\r\n"] = "CLIENT_ERROR",
      ["SERVER_ERROR out of memory writing get response\r\n"] =
        "SERVER_MEMORY_ALLOCATION_FAILURE",
    } do
      local message = expect(code, start({ answer }):get "k")
      assert.is_nil(message:find("s3cret", 1, true))
      server:stop()
      expect(code, start({ answer }):set("k", "v"))
      server:stop()
    end
    start {}
  end)

  it("answers another key's question is not believed", function()
    expect("PROTOCOL_ERROR",
      start({ "VALUE j 0 1\r\na\r\nEND\r\n" }):get "k")
  end)

  it("answers with more than was asked for is not believed", function()
    expect("PROTOCOL_ERROR",
      start({ "VALUE k 0 1\r\na\r\nVALUE k 0 1\r\nb\r\nEND\r\n" }):get "k")
  end)

  it("closes before it says who has the lock is asked who has it", function()
    local one = start({ "close" }, { "NOT_STORED\r\n", "VALUE k 0 5\r\nother\r\nEND\r\n" })
    local handle, err = one:try_lock("k", 10)
    assert(handle == false or err, "another's lock was taken")
    assert.truthy(server:heard():find("\r\nget tokencache:lock:", 1, true))
  end)
end)

it("a lock whose server fails right after it was given is released", function()
  local server = scripted_server.start { { "STORED\r\n", "SERVER_ERROR out of order\r\n" },
    { "END\r\n" } }
  finally(function() server:stop() end)
  local one = tokencache.store.memcached { servers = { "127.0.0.1:" .. server.port } }
  local handle = assert(one:try_lock("k", 10))
  assert(one:unlock(handle))
  local _, count = server:heard():gsub("gets tokencache:lock:", "")
  assert.equal(2, count)
end)

describe("a lock whose answer was lost", function()
  it("is held where the server has it", function()
    local client = { owner = nil }
    local worker = { lock = function(_, _, owner)
      client.owner = owner
      return owner, "reconnected"
    end }
    local handle = store_over({ place = "here" }, worker):try_lock("k", 10)
    assert.equal(client.owner, handle.owner)
    assert.same({ "debug here: the connection to memcached was lost; made a new one" }, logged)
  end)
end)

describe(FORKS .. " forks of a process that holds a connection to memcached", function()
  local server
  setup(function() server = memcached_server.start() end)
  teardown(function() server:stop() end)

  it("share nothing: each gets its own values, and so does the parent", function()
    local one = store(server.address)
    assert.equal(0, forks.crossed(one, FORKS))
    assert.same({}, logged) -- the parent's connection was never lost
    assert.equal(("child %d-3"):format(FORKS), one:get("key of child " .. FORKS))
  end)

  it("drop it: the child keeps no descriptor of the parent's", function()
    local one = store(server.address, { timeout = 3 })
    assert.is_true(one:set("k", "v"))
    local function open()
      local _, list = process.run({ "sh", "-c", "ls -l /proc/$PPID/fd | grep -c socket:" })
      return tonumber(list)
    end
    local before = open()
    assert.equal(0, forks.run(function()
      return one:get "k" == "v" and open() == before -- its own in the place of the other
    end))
    assert.equal("v", one:get "k")
    assert.same({}, logged)
  end)

  it("may close or collect it without a word to the server", function()
    local one = store(server.address, { timeout = 4 })
    assert.is_true(one:set("k", "v"))
    assert.equal(0, forks.run(function()
      package.loaded["tokencache.worker.memcached"], one = nil, nil
      collectgarbage()
      collectgarbage()
      return true
    end))
    assert.equal("v", one:get "k")
    assert.same({}, logged)
  end)

  it("leave a Unix socket's connection alone too", function()
    local directory = folder.new()
    local other = memcached_server.start({}, directory:file("socket"))
    finally(function() other:stop() directory:remove() end)
    assert.equal(0, forks.crossed(store(other.address), 50))
    assert.same({}, logged)
  end)
end)
