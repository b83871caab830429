-- Seconds that are no time, or more than there will be.

local core = require "tokencache._core"
local memcached_server = require "support.memcached_server"
local process = require "support.process"
local redis_server = require "support.redis_server"
local tokencache = require "tokencache"

local NAN = 0 / 0
local at_end = require("support.at_end")()

it("a sleep of no time ends at once, and one without end does not spin", function()
  for _, seconds in ipairs { NAN, -NAN, -math.huge, -1, 0 } do
    core.sleep(seconds)
  end
  for _, seconds in ipairs { "math.huge", "1e300" } do
    local child = process.start(process.lua(([[
      io.write("ready\n")
      io.flush()
      require("tokencache._core").sleep(%s)
    ]]):format(seconds)))
    at_end(function() child:stop() end)
    process.wait_until("the child to sleep", function()
      assert(child:is_running(), child:output())
      local file = assert(io.open(("/proc/%d/stat"):format(child.pid)))
      local state = file:read("*a"):match "^%d+ %b() (%a)"
      file:close()
      return child:output() == "ready\n" and state == "S"
    end)
  end
end)

it("the clocks are functions whose calls LuaJIT compiles", function()
  for _, name in ipairs { "now", "monotonic" } do
    assert.equal(rawget(_G, "jit") and "Lua" or "C", debug.getinfo(core[name], "S").what)
  end
  assert.is_true(math.abs(core.now() - os.time()) < 60)
  assert.is_true(core.monotonic() <= core.monotonic())
end)

describe("an entry", function()
  local memcached, redis, stores

  setup(function()
    memcached, redis = memcached_server.start(), redis_server.start()
    stores = {
      memcached = tokencache.store.memcached { servers = { memcached.address } },
      memory = tokencache.store.memory {},
      redis = tokencache.store.redis { port = redis.port },
    }
  end)

  teardown(function()
    memcached:stop()
    redis:stop()
  end)

  for _, name in ipairs { "memcached", "memory", "redis" } do
    it("for no time is over at once, and one for ever stays: " .. name, function()
      local store = stores[name]
      for _, ttl in ipairs { NAN, -NAN, -math.huge, -1, 0 } do
        assert.is_true(store:set("k", "v", ttl))
        process.wait_until("the entry to be over", function() return store:get "k" == nil end)
      end
      for _, ttl in ipairs { math.huge, 1e300 } do
        assert.is_true(store:set("k", "v", ttl))
        assert.equal("v", store:get "k")
        local handle = assert(store:try_lock("n", ttl))
        assert.is_false((store:try_lock("n", ttl)))
        assert.is_true(store:extend_lock(handle, ttl))
        assert.is_true(store:unlock(handle))
      end
    end)
  end
end)
