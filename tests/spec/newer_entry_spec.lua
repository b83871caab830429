-- What a renewal brings is saved only over what it read: anything else there is somebody's newer
-- word. The provider here has patience with refresh tokens that are sent twice, as some do.

local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local merged = require "support.merged"
local new_table_store = require "support.table_store"
local process = require "support.process"
local real_stores = require "support.real_stores"
local stages = require "support.stage"
local tokencache = require "tokencache"

local LOGIN = { access_token = "old", refresh_token = "refresh-1", expires_at = 990,
  scope = "a b", authorized_at = 500, client_id = stages.CLIENT_ID }
local THEIRS = merged(LOGIN, { access_token = "theirs", refresh_token = "refresh-9",
  expires_at = 3000 })

local real = real_stores.use()

after_each(function() log.set_logger(nil) end)

--- A store that anybody can reach, or one object that is the only way to its entries.
local backends = merged(real.new, { memory = tokencache.store.memory,
  ["a user's table"] = new_table_store })

for name, new_store in pairs(backends) do
  describe("a renewal over " .. name, function()
    local stage, store, clock

    before_each(function()
      stage, store = stages.new(), new_store()
      clock = function() return stage.now end
    end)

    local function handler()
      return tokencache.cache.from_store(store, "anna", { ttl = 1000, clock = clock })
    end

    --- The account by its key and by a handler, each in a process of its own.
    local function each_way(act)
      act(stage:user_flow({ store = store }):account("anna"))
      stage = stages.new()
      act(stage:user_flow { cache = tokencache.cache.from_store(store, "anna") })
    end

    it("does not undo what another has saved meanwhile, though that ends earlier", function()
      each_way(function(account)
        assert(handler():save_token_to_cache(LOGIN))
        local logged = keep_log()
        stage.on.request = function()
          assert(handler():save_token_to_cache(THEIRS))
          return stages.answer { access_token = "ours", refresh_token = "refresh-2",
            expires_in = 36000 }
        end
        assert.equal("ours", account:get_access_token())
        assert.equal("theirs", handler():get_cached_token().access_token)
        assert.matches("given up: the account holds a newer one", table.concat(logged, "\n"), 1,
          true)
        assert.equal("theirs", account:get_access_token())
        assert.equal("refresh-9", handler():get_cached_token().refresh_token)
        assert.equal(0, stage.io.process.owing)
      end)
    end)

    it("does not undo it either where its own save had failed", function()
      local broken = false
      local set, replace = store.set, store.replace
      local function fails(method)
        return method and function(...)
          if broken then
            return nil, "the disk is full"
          end
          return method(...)
        end
      end
      store.set, store.replace = fails(set), fails(replace)
      each_way(function(account)
        broken = false
        assert(handler():save_token_to_cache(LOGIN))
        log.set_logger(false)
        stage.on.request = function()
          broken = true
          return stages.answer { access_token = "ours", refresh_token = "refresh-2",
            expires_in = 36000 }
        end
        assert.equal("ours", account:get_access_token())
        assert.equal("ours", account:get_access_token())
        broken = false
        assert(handler():save_token_to_cache(THEIRS))
        assert.equal("theirs", account:get_access_token())
        assert.equal("refresh-9", handler():get_cached_token().refresh_token)
        assert.equal(0, stage.io.process.owing)
      end)
    end)

    it("is not begun where the entry changes before the request", function()
      if not store.can_save then
        return -- what cannot be probed is not read again
      end
      local can_save = store.can_save
      each_way(function(account)
        assert(handler():save_token_to_cache(LOGIN))
        function store.can_save(...)
          assert(handler():save_token_to_cache(THEIRS))
          return can_save(...)
        end
        assert.equal("theirs", account:get_access_token())
        assert.equal(0, #stage.requests)
        store.can_save = can_save
      end)
    end)
  end)
end

describe("a process that is stopped in its request #once", function()
  local SCRIPT = [[
    local tokencache = require "tokencache"
    local shell = require "support.process"
    local gate = ...
    local said = {}
    tokencache.set_logger(function(_, message) said[#said + 1] = message end)
    local flow = tokencache.flow.authorization_code {
      provider = { token_url = "https://login.example/token",
        authorize_url = "https://login.example/authorize" },
      client_id = %q, client_secret = "s3cret", redirect_uri = "https://app.example/callback",
      store = tokencache.store.%s, authorize = false,
      http = { heartbeats = true, request = function()
        shell.write_file(os.getenv("READY_FILE"), "sent\n")
        shell.wait_until("the other", function() return shell.read_file(gate) end, 60)
        return { status = 200,
          body = '{"access_token":"ours","refresh_token":"refresh-2","expires_in":36000}' }
      end },
    }
    print(flow:account("anna"):get_access_token())
    print(flow:account("anna"):get_access_token())
    print((table.concat(said, "\n"):find("holds a newer one", 1, true)) ~= nil)
  ]]

  local store, gate, child

  local function handler()
    return tokencache.cache.from_store(store, "anna")
  end

  --- A process that has sent the login's refresh token and stands still.
  local function stop(new_store, expression)
    store, gate = new_store(), real.dir:file("gate")
    assert(handler():save_token_to_cache(merged(LOGIN, { expires_at = os.time() - 10 })))
    child = process.start(process.lua(SCRIPT:format(stages.CLIENT_ID, expression), gate),
      { ready = true, environment = process.lua("").environment })
    finally(function()
      child:signal("CONT")
      child:stop()
    end)
    child:freeze()
  end

  local function go_on()
    process.write_file(gate, "")
    child:signal("CONT")
    child:wait()
    return child:output()
  end

  local function another()
    local stage = stages.new()
    stage.io.now, stage.io.monotonic, stage.io.sleep = nil, nil, nil
    stage.on.request = function()
      return stages.answer { access_token = "theirs", refresh_token = "refresh-9",
        expires_in = 3000 }
    end
    return stage
  end

  --- Ends the lock as its time would.
  local servers = {
    Redis = {
      start = function() stop(real.new.Redis, ("redis { port = %d }"):format(real.redis.port)) end,
      end_lock = function() return real.redis:cli("DEL", "tokencache-lock:anna") end,
      ended = "1",
    },
    memcached = {
      start = function()
        stop(real.new.memcached,
          ('memcached { servers = { "%s" } }'):format(real.memcached.address))
      end,
      end_lock = function()
        local key = require "tokencache.store.memcached_key"
        return real.memcached:ask("delete " .. key.lock "anna")
      end,
      ended = "DELETED",
    },
  }

  for name, server in pairs(servers) do
    it("until its lock has ended saves nothing over what another has renewed: " .. name, function()
      server.start()
      assert.matches(server.ended, server.end_lock(), 1, true)
      assert.equal("theirs",
        another():user_flow({ store = store }):account("anna"):get_access_token())
      assert.equal("ours\ntheirs\ntrue\n", go_on())
      assert.equal("refresh-9", handler():get_cached_token().refresh_token)
    end)
  end

  it("keeps the lock of a file: nobody sends its refresh token meanwhile", function()
    stop(real.new.file, ('file { directory = "%s" }'):format(real:directory()))
    local stage = another()
    local token, err = stage:user_flow({ store = store, timeout = 0.2 }):account("anna")
      :get_access_token()
    assert.is_nil(token)
    assert.equal("timeout", err.kind)
    assert.equal(0, #stage.requests)
    assert.equal("ours\nours\nfalse\n", go_on())
    assert.equal("refresh-2", handler():get_cached_token().refresh_token)
  end)
end)
