-- Two tiers in several processes, as handlers and as stores.

local cache = require("tokencache").cache
local log = require "tokencache.log"
local stages = require "support.stage"
local store = require("tokencache").store

describe("two tiers", function()
  after_each(function()
    log.set_logger(nil)
  end)

  --- Three processes, each with a front of its own, over one back; the server burns a refresh
  --- token at its first use.
  describe("in several processes", function()
    local function one_run(seed)
      math.randomseed(seed)
      local stage = stages.new()
      local clock = function() return stage.now end
      local shared = store.memory()
      local rows = setmetatable({}, { __index = function(_, method)
        return shared[method] and function(_, ...)
          coroutine.yield()
          return shared[method](shared, ...)
        end
      end })
      local current, number = "refresh-0", 0
      stage.on.request = function(request)
        coroutine.yield()
        local sent = request.body:match("refresh_token=([^&]+)")
        assert.equal(current, sent, "a refresh token was used twice")
        number = number + 1
        current = "refresh-" .. number
        coroutine.yield()
        return stages.answer { access_token = "access-" .. number, refresh_token = current,
          expires_in = 100 }
      end
      stage.on.sleep = coroutine.yield

      --- One of the two ways to have tiers. The memory stores go by another clock, and so keep
      --- an entry beyond its time.
      local function new_handler()
        local timed = { clock = clock }
        if math.random(3) == 1 then
          return cache.from_store(store.tiered { front = store.memory(), back = rows,
            clock = clock }, "ann", timed)
        end
        local near = math.random(2) == 1 and cache.memory {}
          or cache.from_store(store.memory(), "ann", timed)
        return cache.tiered { front = near, back = cache.from_store(rows, "ann", timed),
          clock = clock }
      end

      local function process()
        local handler = new_handler()
        -- 80: the front still trusts what the flow renews
        local flow = stage:user_flow { cache = handler, timeout = 1000,
          leeway = math.random(2) == 1 and 60 or 80 }
        return coroutine.create(function()
          for _ = 1, 4 do
            local access_token, err = flow:get_access_token()
            assert(access_token, err)
            coroutine.yield()
          end
        end)
      end

      cache.from_store(shared, "ann"):save_token_to_cache({
        access_token = "access-0", refresh_token = current, expires_at = stage.now + 70 })
      local threads = {}
      for i = 1, 6 do
        threads[i] = process()
      end
      while #threads > 0 do
        local i = math.random(#threads)
        assert(coroutine.resume(threads[i]))
        if coroutine.status(threads[i]) == "dead" then
          table.remove(threads, i)
        end
        stage.now = stage.now + math.random(0, 3)
      end
      return number
    end

    it("never burns a refresh token that another has used", function()
      local renewals = 0
      for seed = 1, 300 do
        renewals = renewals + one_run(seed)
      end
      assert.is_true(renewals > 300, renewals)
    end)
  end)
end)
