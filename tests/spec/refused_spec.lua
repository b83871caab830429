-- Many who were told by an API, all at once, that it does not take their token any more.

local log = require "tokencache.log"
local oidc_provider = require "support.oidc_provider"
local shared_caches = require "support.shared_caches"
local stampede = require "support.stampede"
local suite = require "support.suite"
local tokencache = require "tokencache"

local PROCESSES = suite.is_sanitized and 8 or 24
local ROUNDS = 2

describe("a token that an API refuses", function()
  local server, shared

  setup(function()
    server = oidc_provider.start()
    shared = shared_caches.start()
  end)

  teardown(function()
    server:stop()
    shared:stop()
  end)

  after_each(function() log.set_logger(nil) end)

  local function refreshes()
    return server:counts().refresh_token or 0
  end

  for _, name in ipairs { "file", "Redis", "Memcached", "encrypted Redis" } do
    it(("is renewed once for %d processes: %s"):format(PROCESSES, name), function()
      local handler, now = shared.list[name].new(), os.time()
      server:log_in(handler, now)
      for _ = 1, ROUNDS do
        now = now + 10
        local refused, before = handler:get_cached_token().access_token, refreshes()
        local crowd = stampede.new { cache = shared.list[name].code, provider = server.provider,
          client = server.clients.confidential, now = now, processes = PROCESSES,
          refused = refused }
        crowd:run()
        local results = crowd:results()
        crowd:remove()
        local token = handler:get_cached_token().access_token
        assert.not_equal(refused, token)
        assert.same({ ["token " .. token] = PROCESSES }, results)
        assert.equal(before + 1, refreshes())
        assert.is_true(server:introspect(token).active)
      end
    end)
  end

  for _, name in ipairs { "memory", "file", "Redis", "encrypted Memcached" } do
    it("is renewed once for 40 coroutines: " .. name, function()
      local memory = tokencache.cache.memory()
      local new_cache = name == "memory" and function() return memory end or shared.list[name].new
      local now, tokens = os.time(), {}
      server:log_in(new_cache(), now)
      local refused, before = new_cache():get_cached_token().access_token, refreshes()
      local curl = require("tokencache.transport.curl").new {}
      local threads = {}
      for i = 1, 40 do
        local flow = tokencache.flow.authorization_code(server:options("confidential", {
          redirect_uri = "http://127.0.0.1:8080/callback", scope = "read", cache = new_cache(),
          clock = function() return now + 10 end, authorize = false,
          io = { sleep = coroutine.yield },
          http = { request = function(_, request)
            coroutine.yield()
            return curl:request(request)
          end },
        }))
        threads[i] = coroutine.create(function()
          tokens[i] = assert(flow:get_access_token { refused = refused })
        end)
      end
      while #threads > 0 do
        for i = #threads, 1, -1 do
          assert(coroutine.resume(threads[i]))
          if coroutine.status(threads[i]) == "dead" then
            table.remove(threads, i)
          end
        end
      end
      assert.equal(before + 1, refreshes())
      local token = new_cache():get_cached_token().access_token
      for i = 1, 40 do
        assert.equal(token, tokens[i])
      end
      assert.not_equal(refused, token)
    end)
  end
end)
