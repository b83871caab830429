-- Redis by sentinels that are real, through failovers. What is said to whom, and when,
-- redis_talk_spec.lua shows.

local deadline = require "support.deadline"
local expect = require "support.cache_failure"
local log = require "tokencache.log"
local login_trial = require "support.login_trial"
local loopback = require "support.loopback"
local new_process = require("tokencache.account.process").new
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local redis_sentinels = require "support.redis_sentinels"
local scripted_server = require "support.scripted_server"
local tokencache = require "tokencache"

describe("store.redis by sentinels", function()
  it("gives up where none is there, and says so", function()
    local port = loopback.free_port()
    local address = "127.0.0.1:" .. port
    local message = expect("CONNECT",
      tokencache.store.redis({ sentinels = { address, address }, master = "m" }):get "k")
    assert.equal(("m of the sentinels %s, %s (sentinel %s): Redis: no connection: Connection "
      .. "refused; check that the server runs, and the address"):format(address, address, address),
      message)
  end)

  it("keeps its deadline where they say half of an answer, or nonsense", function()
    for text, code in pairs {
      ["*2\r\n$9\r\n127.0"] = "TIMEOUT", ["*2\r\n:1\r\n:2\r\n"] = "MASTER",
      ["*2\r\n$1\r\na\r\n$5\r\n70000\r\n"] = "MASTER", ["*-1\r\n"] = "MASTER",
      ["*999999\r\n"] = "PROTOCOL", ["+OK\r\n"] = "MASTER", ["-ERR no\r\n"] = "ERR",
    } do
      local server = scripted_server.start { { text } }
      local one = tokencache.store.redis { sentinels = { "127.0.0.1:" .. server.port },
        master = "m", connect_timeout = code == "TIMEOUT" and 0.5 or 5 }
      local message
      if code == "TIMEOUT" then
        message = expect(code, deadline.takes(0.25, function() return one:get "k" end))
      else
        message = expect(code, one:get "k")
      end
      assert.truthy(message:find(("(sentinel 127.0.0.1:%d)"):format(server.port), 1, true), message)
      server:stop()
    end
  end)
end)

describe("#c store.redis by sentinels", function()
  local group
  setup(function() group = redis_sentinels.start() end)
  teardown(function() group:stop() end)

  local function store(more)
    return tokencache.store.redis(group:options(more))
  end

  it("finds the master", function()
    local one = store()
    assert.is_true(one:set("k", "v"))
    assert.equal("v", one:get "k")
    assert.equal("v", group:master():cli("GET", "k"))
    local handle = assert(one:try_lock("k", 10))
    assert.is_true(one:replace("k", "v", "w", nil, handle))
    assert.is_true(one:unlock(handle))
  end)

  it("asks the next sentinel where one is gone, or does not answer", function()
    local addresses = group:options().sentinels
    assert.is_true(store({ timeout = 4,
      sentinels = { "127.0.0.1:" .. loopback.free_port(), addresses[2] } }):set("k", "v"))
    group.sentinels[1].child:freeze()
    deadline.enough(2, function(seconds)
      return store({ timeout = 3, connect_timeout = seconds }):set("k", "w")
    end)
    group.sentinels[1].child:signal "CONT"
  end)

  it("says that a master is not known", function()
    local message = expect("MASTER", store({ master = "nobody" }):get "k")
    assert.truthy(message:find("there is no such master; check master=", 1, true), message)
  end)

  it("does not take a replica for the master, whoever says so", function()
    local port = tostring(group:replica().port)
    local liar = scripted_server.start {
      { ("*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n"):format(#port, port), "close" },
    }
    local message
    deadline.enough(1.2, function(seconds)
      local one = store { sentinels = { "127.0.0.1:" .. liar.port }, connect_timeout = seconds }
      local ok, err = one:set("k", "v")
      message = err and err.code ~= "TIMEOUT" and expect("READONLY", ok, err)
      return message
    end)
    assert.truthy(message:find(("(master 127.0.0.1:%s): Redis: this is a replica now; try again "
      .. "later"):format(port), 1, true), message)
    liar:stop()
  end)

  it("writes nothing that no replica has, where replicas are wanted", function()
    local one, patient = store { replicas = 1, timeout = 2 }, store { replicas = 1, timeout = 60 }
    assert.is_true(patient:set("k", "old"))
    local handle = assert(patient:try_lock("k", 60))
    local replica = group:replica()
    replica.child:freeze()
    local message = expect("NOREPLICAS", one:replace("k", "old", "new", nil, handle))
    assert.truthy(message:find("0 of 1 replicas have it so far; check the replicas", 1, true))
    expect("NOREPLICAS", one:try_lock("l", 10))
    replica.child:signal "CONT"
    assert.is_true(patient:replace("k", "old", "new", nil, handle)) -- that is what is there now
    assert.is_truthy(patient:try_lock("l", 10)) -- nobody has it
    assert.equal("new", replica:cli("GET", "k"))
  end)

  it("follows when the master is killed, and no call fails", function()
    local one = store()
    assert.is_true(one:set("k", "v"))
    local before = group:master()
    before:kill()
    for i = 1, 10 do
      assert.is_true(one:set("k", tostring(i)))
    end
    process.wait_until("all sentinels to know the new master", function()
      return group:master() ~= before
    end)
    assert.equal("10", group:master():cli("GET", "k"))
  end)
end)

for _, replicas in ipairs { 1, 0 } do
  describe(("#once a login in Redis by sentinels, with replicas = %d,"):format(replicas), function()
    local group, provider

    setup(function()
      group, provider = redis_sentinels.start(), oidc_provider.start()
    end)

    teardown(function()
      log.set_logger(nil)
      group:stop()
      provider:stop()
    end)

    --- As in a process of its own.
    local function new_trial(wanted)
      local trial
      trial = login_trial.new { server = provider,
        options = { timeout = 60, io = { process = new_process() } },
        store = function()
          return tokencache.store.redis(group:options { replicas = wanted,
            timeout = trial.store_timeout })
        end }
      return trial
    end

    if replicas == 1 then
      it("lives through a master that is killed between the provider's answer and the save",
        function()
          local trial, killed = new_trial(replicas), group:master()
          trial:log_in()
          trial:survives_failed_save(function() killed:kill() end, function()
            killed:restart()
            killed:cli("REPLICAOF", "127.0.0.1", group:master().port)
            process.wait_until("the replica to follow", function()
              return killed:cli("ROLE"):find "connected"
            end)
          end)
        end)
    end

    it(replicas == 1 and "is not renewed where no replica will have it, and lives on elsewhere"
      or "is lost with a master whose last save no replica has, as docs/redis.md says", function()
      local here, there = new_trial(replicas), new_trial(0)
      here:log_in()
      here:renews(1)
      local master, replica, sent = group:master(), group:replica(), here.sent
      here.store_timeout = 2
      replica.child:freeze()
      master:cli("CLIENT", "KILL", "TYPE", "replica")
      log.set_logger(false)
      here:expire()
      local token, err = here:account():get_access_token()
      assert.equal(replicas == 1 and "cache" or nil, err and err.kind)
      assert.equal(replicas == 0, token ~= nil)
      assert.equal(replicas == 1 and sent or sent + 1, here.sent)
      master:kill()
      replica.child:signal "CONT"
      there.now = here.now
      token, err = there:account():get_access_token()
      assert.equal(replicas == 0 and "reauthorize" or nil, err and err.kind, tostring(err))
      assert.equal(replicas == 1, token ~= nil and provider:introspect(token).active)
    end)
  end)
end

describe("#once store.redis by sentinels with passwords", function()
  local group
  setup(function()
    group = redis_sentinels.start { password = "server-word", sentinel_password = "sentinel-word" }
  end)
  teardown(function() group:stop() end)

  it("says which password is wrong", function()
    local options = group:options { sentinel_password = "wrong-word" }
    local message = expect("WRONGPASS", tokencache.store.redis(options):get "k")
    assert.truthy(message:find("; check sentinel_username= and sentinel_password=", 1, true),
      message)
    options.sentinel_password = nil
    message = expect("NOAUTH", tokencache.store.redis(options):get "k")
    assert.truthy(message:find("check sentinel_username= and sentinel_password=", 1, true), message)
    message = expect("WRONGPASS",
      tokencache.store.redis(group:options { password = "wrong-word" }):get "k")
    assert.truthy(message:find("; check username= and password=", 1, true), message)
    assert.is_nil(message:find("-word", 1, true), message)
  end)

  it("follows SENTINEL FAILOVER, of which the old master never hears, and no call fails", function()
    local one, before, count = tokencache.store.redis(group:options()), group:master(), 0
    assert.is_true(one:set("k", "v"))
    before:cli("ACL", "SETUSER", "default", "-slaveof", "-replicaof") -- it is never to know
    group:switch()
    process.wait_until("the store to follow", function()
      count = count + 1
      assert.is_true(one:set("k", tostring(count)))
      return group:master():cli("GET", "k") == tostring(count)
    end)
    assert.truthy(before:cli("ROLE"):find "^master")
  end)
end)
