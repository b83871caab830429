local check_loss = require "support.server_loss"
local deadline = require "support.deadline"
local expect = require "support.cache_failure"
local forks = require "support.forks"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local mounts = require "support.mounts"
local process = require "support.process"
local redis_server = require "support.redis_server"
local scripted_server = require "support.scripted_server"
local socket = require "socket"
local store_over = require "tokencache.store.redis_base"
local suite = require "support.suite"
local tokencache = require "tokencache"

local FORKS = suite.is_in_full and 1000 or 50

local function store(port, options)
  options = options or {}
  options.port = port
  return tokencache.store.redis(options)
end

local logged

before_each(function() logged = keep_log() end)
after_each(function() log.set_logger() end)

local takes = deadline.takes
local LONG = 600 -- seconds

describe("a Redis server that", function()
  local server
  before_each(function() server = redis_server.start() end)
  after_each(function() server:stop() end)

  it("is killed and restarted in mid-loop costs no call", function()
    local one = store(server.port)
    for round = 1, 5 do
      for i = 1, 20 do
        assert.is_true(one:set("k", round .. "-" .. i))
        assert.equal(round .. "-" .. i, one:get "k")
      end
      local handle = assert(one:try_lock("round " .. round, 10))
      server:kill()
      server:restart()
      logged = keep_log()
      if round % 2 == 0 then
        assert.is_true(one:unlock(handle)) -- the lock has gone with the server
      else
        assert.is_truthy(one:try_lock("round " .. round, 10))
      end
      assert.same({ ("debug 127.0.0.1:%d: the connection to Redis was lost; made a new one")
        :format(server.port) }, logged)
    end
  end)

  it("is away fails each call at once, and serves again when it is back", function()
    local one = store(server.port)
    assert.is_true(one:set("k", "v"))
    server:kill()
    for _ = 1, 3 do
      local message = expect("CONNECT", one:get "k")
      assert.equal(("127.0.0.1:%d: Redis: no connection: Connection refused; check that the server "
        .. "runs, and the address"):format(server.port), message)
      expect("CONNECT", one:set("k", "v"))
      expect("CONNECT", one:try_lock("k", 1))
    end
    server:restart()
    assert.same({}, { one:get "k" })
  end)

  --- An address that answers nothing: the queue of its only listener is full.
  local function fill(host, port)
    local listener = assert(socket.tcp())
    assert(listener:bind(host, port))
    assert(listener:listen(0))
    local waiting = {}
    repeat
      local client = socket.tcp()
      client:settimeout(0.1)
      waiting[#waiting + 1] = client
    until not client:connect(host, port)
    return function()
      listener:close()
      for _, client in ipairs(waiting) do
        client:close()
      end
    end
  end

  it("has two addresses is found at the second where the first answers nothing", function()
    if not mounts.are_possible() then return pending(mounts.RIGHT) end
    local homes = redis_server.start { "--bind", "127.0.0.1", "127.0.0.3" }
    local directory = process.temporary_directory()
    local hosts = directory .. "/hosts"
    process.write_file(hosts, "127.0.0.2 two-homes\n127.0.0.3 two-homes\n")
    local release = fill("127.0.0.2", homes.port)
    finally(function()
      release()
      homes:stop()
      process.remove_directory(directory)
    end)
    local child = process.lua([[
      local port = tonumber(...)
      require("support.deadline").enough(2, function(seconds)
        local store = require("tokencache").store.redis { host = "two-homes", port = port,
          connect_timeout = seconds }
        return store:set("k", "found")
      end)
    ]], homes.port)
    local line = ("mount --bind %s /etc/hosts"):format(hosts)
    local code, output = process.run(mounts.own(line, child))
    assert.equal(0, code, output)
    assert.equal("found", store(homes.port):get "k")
  end)

  it("closes idle connections costs no call", function()
    local one = store(server.port)
    assert.is_true(one:set("k", "v"))
    server:cli("CLIENT", "KILL", "TYPE", "normal")
    assert.equal("v", one:get "k")
    assert.equal(1, #logged)
  end)

  it("is frozen fails the call at its deadline, and costs nothing once it goes on", function()
    local one = store(server.port, { timeout = 0.5, connect_timeout = LONG })
    process.wait_until("a connection", function() return one:set("k", "v") end)
    server.child:freeze()
    local message = expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
    assert.truthy(message:find("no answer in time; try again later, or raise the timeout", 1, true))
    expect("TIMEOUT", takes(0.5, function() return one:get "k" end)) -- on a new connection
    server.child:signal("CONT")
    local stats = server:cli("INFO", "commandstats") -- it is awake
    assert.matches("cmdstat_get:calls=2,", stats, 1, true) -- none was asked again
    process.wait_until("an answer", function() return one:get "k" == "v" end)
  end)

  it("is frozen fails a login at the connection's deadline", function()
    server.child:freeze()
    local one = store(server.port, { timeout = LONG, connect_timeout = 0.5, password = "secret" })
    expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
    server.child:signal("CONT")
  end)

  it("has no memory left says so, and goes on reading", function()
    local one = store(server.port)
    assert.is_true(one:set("k", "v"))
    server:cli("CONFIG", "SET", "maxmemory", "1")
    local message = expect("OOM", one:set("k", "secret-value"))
    assert.truthy(message:find("raise the server's maxmemory", 1, true), message)
    assert.is_nil(message:find("secret", 1, true))
    assert.equal("v", one:get "k")
    expect("OOM", one:try_lock("k", 1))
    server:cli("CONFIG", "SET", "maxmemory", "0")
    assert.is_true(one:set("k", "w"))
  end)

  it("keeps something else at the key is told from an empty one", function()
    server:cli("LPUSH", "k", "x")
    local message = expect("WRONGTYPE", store(server.port):get "k")
    assert.truthy(message:find("another program uses this key", 1, true), message)
  end)

  it("is a replica refuses to write, and is asked anew by each call", function()
    local one = store(server.port)
    assert.is_true(one:set("k", "v"))
    server:cli("REPLICAOF", "127.0.0.1", "1")
    assert.truthy(expect("READONLY", one:set("k", "w")):find("name the master", 1, true))
    server:cli("REPLICAOF", "NO", "ONE")
    assert.is_true(one:set("k", "w"))
  end)

  it("does not know a command shows nothing of a token", function()
    server:stop()
    server = redis_server.start { "--rename-command", "SET", "" }
    local message = expect("ERR", store(server.port):set("k", '{"access_token":"BQC-secret"}'))
    assert.truthy(message:find("unknown command 'SET'", 1, true), message)
    assert.is_nil(message:find("BQC", 1, true), message)
  end)

  it("ends in mid-flight of others leaves the flow its token", function()
    local said = check_loss(server, tokencache.cache.redis { port = server.port })
    assert.truthy(said:find("warning the cache's lock could not be released", 1, true), said)
  end)
end)

describe("a server that", function()
  local server
  after_each(function() server:stop() end)

  local function start(...)
    server = scripted_server.start { ... }
    return store(server.port)
  end

  local function start_briefly(...)
    start(...)
    return store(server.port, { timeout = 0.5, connect_timeout = LONG })
  end

  it("drips its answer byte by byte is given the time of one call", function()
    local one = start_briefly { { drip = "$20\r\n01234567890123456789\r\n", every = 0.1 } }
    expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
  end)

  it("sends half a reply and no more fails the call at its deadline", function()
    local one = start_briefly { "$10\r\n01234" }
    expect("TIMEOUT", takes(0.5, function() return one:get "k" end))
  end)

  it("closes in mid-reply is asked once more", function()
    local one = start({ "$10\r\n01234", "hang up" }, { "$2\r\nok\r\n" })
    assert.equal("ok", one:get "k")
    assert.equal(1, #logged)
  end)

  it("closes without an answer is asked once more, on a new connection", function()
    local one = start({ "close" }, { "$2\r\nok\r\n" })
    assert.equal("ok", one:get "k")
    assert.equal(("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"):rep(2), server:heard())
    assert.equal(1, #logged)
  end)

  it("always closes without an answer is asked twice", function()
    local one = start { "close" }
    assert.truthy(expect("CLOSED", one:get "k"):find("the server closed the connection", 1, true))
    assert.equal(("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"):rep(2), server:heard())
  end)

  it("accepts and hangs up is asked twice", function()
    expect("CLOSED", start({ "hang up" }):get "k")
  end)

  it("closes before it says who has the lock is asked who has it", function()
    local one = start({ "close" }, { "$-1\r\n", "$5\r\nother\r\n" })
    assert.is_false((one:try_lock("k", 10)))
    assert.truthy(server:heard():find("$3\r\nGET\r\n$17\r\ntokencache-lock:k\r\n", 1, true))
    server:stop()
    one = start { "$-1\r\n", "$-1\r\n" }
    assert.same({ false }, { one:try_lock("k", 10) }) -- it has ended just now
    server:stop()
    one = start({ "$-1\r\n", "close" }, { "close" })
    assert.same({ false }, { one:try_lock("k", 10) })
  end)

  it("gave the lock to a request whose answer was lost has given it", function()
    local owner
    local function call(_, name, _, value)
      if name == "GET" then
        return owner
      end
      owner = value
      return false, "repeated" -- the first one had taken it
    end
    local handle = store_over({ place = "here" }, call):try_lock("k", 10)
    assert.equal(owner, handle.owner)
    start {}
  end)

  it("speaks another protocol is not taken for Redis, nor waited for", function()
    for _, garbage in ipairs { "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\1\2\3", "*2\r\n$1\r\na\r\n",
      "$-5\r\n", "SSH-2.0-OpenSSH_9.2\r\n" } do
      local message = expect("PROTOCOL", start({ garbage }):get "k")
      assert.truthy(message:find("check that it is a Redis server", 1, true), message)
      server:stop()
    end
    start {}
  end)

  it("answers more than it was asked is not believed", function()
    expect("PROTOCOL", start({ "$1\r\na\r\n$1\r\nb\r\n" }):get "k")
  end)

  it("answers before it is asked is dropped", function()
    local one = start({ "$1\r\na\r\n", "$1\r\nb\r\n" }, { "$1\r\nc\r\n" })
    assert.equal("a", one:get "k")
    assert.equal("b", one:get "k")
  end)

  it("reads its data still, or is a node of a cluster, says so", function()
    for text, words in pairs {
      ["LOADING Redis is loading the dataset in memory"] = "try again later",
      ["MOVED 3999 127.0.0.1:6381"] = "name it and others, cluster=",
      ["ASK 3999 127.0.0.1:6381"] = "name it and others, cluster=",
      ["MISCONF Redis is configured to save RDB snapshots"] = "cannot save to its disk",
      ["BUSY Redis is busy running a script."] = "a script holds the server up",
    } do
      local message = expect(text:match "^%u+", start({ "-" .. text .. "\r\n" }):get "k")
      assert.truthy(message:find(words, 1, true), message)
      server:stop()
    end
    start {}
  end)

  it("refuses the login is told from one that cannot be reached", function()
    server = scripted_server.start { { "-WRONGPASS no\r\n" } }
    expect("WRONGPASS", store(server.port, { password = "hunter22" }):get "k")
    assert.equal("*2\r\n$4\r\nAUTH\r\n$8\r\nhunter22\r\n", server:heard())
  end)
end)

describe(FORKS .. " forks of a process that holds a connection to Redis", function()
  local server
  setup(function() server = redis_server.start() end)
  teardown(function() server:stop() end)

  it("share nothing: each gets its own values, and so does the parent", function()
    local one = store(server.port)
    assert.equal(0, forks.crossed(one, FORKS))
    assert.same({}, logged) -- the parent's connection was never lost
    assert.equal(("child %d-3"):format(FORKS), one:get("key of child " .. FORKS))
  end)

  it("may be closed, or collected, in the child alone", function()
    local one = store(server.port, { timeout = 4 })
    assert.is_true(one:set("k", "v"))
    assert.equal(0, forks.run(function()
      package.loaded["tokencache.worker.redis"], one = nil, nil
      collectgarbage()
      collectgarbage()
      return true
    end))
    assert.equal("v", one:get "k")
    assert.same({}, logged)
  end)
end)
