-- Many who find the same login expired at the same instant, at a real server that takes each
-- refresh token once and ends the login at a second use. `make soak` runs more rounds.

local fake_endpoint = require "support.fake_endpoint"
local log = require "tokencache.log"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local shared_caches = require "support.shared_caches"
local stampede = require "support.stampede"
local suite = require "support.suite"
local tokencache = require "tokencache"

local ROUNDS = suite.is_in_full and 3 or 1
local CACHES = { "file", "Redis", "Memcached", "encrypted Redis" }

local shared

setup(function() shared = shared_caches.start() end)
teardown(function() shared:stop() end)

describe("over one expired login", function()
  local server

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)
  after_each(function() log.set_logger(nil) end)

  for _, name in ipairs(CACHES) do
    it("64 processes make one refresh between them: " .. name, function()
      local report = stampede.rounds(server, shared.list[name], { rounds = ROUNDS, processes = 64 })
      for round = 1, ROUNDS do
        assert.same({ ["token " .. report.tokens[round]] = 64 }, report.results[round])
        assert.equal(1, report.refreshes[round])
      end
      assert.equal(ROUNDS, report.active)
    end)
  end

  --- A transport that waits between asking and sending, as one over a real network would.
  local function slow_transport()
    local curl = require("tokencache.transport.curl").new {}
    return {
      request = function(_, request)
        for _ = 1, 5 do
          coroutine.yield()
        end
        return curl:request(request)
      end,
    }
  end

  --- Resumes coroutines in turn until all are dead.
  local function run_all(coroutines)
    while #coroutines > 0 do
      for i = #coroutines, 1, -1 do
        assert(coroutine.resume(coroutines[i]))
        if coroutine.status(coroutines[i]) == "dead" then
          table.remove(coroutines, i)
        end
      end
    end
  end

  for _, name in ipairs { "memory", "file", "Redis", "Memcached", "encrypted Redis" } do
    it("200 coroutines make one refresh between them: " .. name, function()
      local memory = tokencache.cache.memory()
      local new_cache = name == "memory" and function() return memory end or shared.list[name].new
      local now, coroutines, tokens = os.time(), {}, {}
      server:log_in(new_cache(), now)
      local before = server:counts().refresh_token or 0
      for i = 1, 200 do
        local flow = tokencache.flow.authorization_code(server:options("confidential", {
          redirect_uri = "http://127.0.0.1:8080/callback",
          scope = "read",
          cache = new_cache(),
          clock = function() return now + 4000 end,
          authorize = false,
          http = slow_transport(),
          io = { sleep = coroutine.yield },
        }))
        coroutines[i] = coroutine.create(function()
          tokens[i] = assert(flow:get_access_token())
        end)
      end
      run_all(coroutines)
      assert.equal(1, server:counts().refresh_token - before)
      local token = new_cache():get_cached_token().access_token
      assert.is_true(server:introspect(token).active)
      for i = 1, 200 do
        assert.equal(token, tokens[i])
      end
    end)
  end
end)

describe("a lock whose holder is killed in mid-request #once", function()
  local LIFE = 10 -- seconds of a lock that a server keeps, of which all wait thirty
  local WAITING = 8
  local endpoint

  setup(function() endpoint = fake_endpoint.start() end)
  teardown(function() endpoint:stop() end)

  --- The seconds that the lock has left, by the server's clock.
  local lock_of = {
    file = function() return 0 end, -- it ends with its holder
    Redis = function()
      return tonumber(shared.redis:cli("PTTL", "tokencache-lock:token_info")) / 1000
    end,
    Memcached = function()
      local key = require("tokencache.store.memcached_key").lock "token_info"
      return tonumber(shared.memcached:ask("mg " .. key .. " t"):match "^HD t(%d+)")
    end,
  }

  for name, seconds_left in pairs(lock_of) do
    it("is free when its time is over: " .. name, function()
      local cache, now = shared.list[name], os.time()
      local orders = { cache = cache.code, now = now, client = { client_id = "i",
        client_secret = "s" }, provider = { authorize_url = endpoint:url("authorize"),
        token_url = endpoint:url("token") } }
      endpoint:clear()
      endpoint:behave("silent", "token") -- the first request is never answered
      assert(cache.new():save_token_to_cache { access_token = "old", refresh_token = "refresh",
        scope = "read", expires_at = now - 100, client_id = "i" })

      orders.alone = true
      local holder = stampede.new(orders)
      holder:start()
      process.wait_until("the holder's request", function() return #endpoint:requests() == 1 end)
      orders.alone, orders.processes = false, WAITING
      local crowd = stampede.new(orders)
      crowd:start()
      crowd:wait_for_busy(2 * WAITING)
      assert.equal(1, #endpoint:requests())

      local left = seconds_left()
      assert.is_true(left >= 0 and left <= LIFE, left .. " seconds")
      holder.child:signal("KILL")
      holder:wait(60)
      crowd:wait(60)
      local results, requests = crowd:results(), endpoint:requests()
      holder:remove()
      crowd:remove()
      assert.same({ ["token access-1"] = WAITING }, results)
      assert.equal(2, #requests)
    end)
  end
end)
