-- A login lives through a store that fails, on every backend, at a real server that ends a login at
-- the second use of a refresh token; with a flow made for each call.

local log = require "tokencache.log"
local login_trial = require "support.login_trial"
local merged = require "support.merged"
local new_table_store = require "support.table_store"
local oidc_provider = require "support.oidc_provider"
local real_stores = require "support.real_stores"
local suite = require "support.suite"
local tokencache = require "tokencache"

local server, real

setup(function() server = oidc_provider.start() end)

teardown(function()
  server:stop()
  real:thaw_memcached()
end)

--- What a test that failed has left broken is mended.
before_each(function()
  real.redis:cli("CONFIG", "SET", "maxmemory", 0, "min-replicas-to-write", 0)
  real.redis:cli("ACL", "SETUSER", "default", "~*", "+@all")
  real:thaw_memcached()
end)

real = real_stores.use { may_freeze = true }

after_each(function()
  log.set_logger(nil)
end)

local faults = {
  file = { {
    name = "whose directory goes away",
    fail = function() real.dir:shell("mv logins away") end,
    mend = function() real.dir:shell("mv away logins") end,
    is_unreadable = true,
  } },
  Redis = { {
    name = "that is full",
    fail = function() real.redis:cli("CONFIG", "SET", "maxmemory", 1) end,
    mend = function() real.redis:cli("CONFIG", "SET", "maxmemory", 0) end,
  }, {
    name = "in which the lock may be written, and not the entry",
    fail = function()
      real.redis:cli("ACL", "SETUSER", "default", "resetkeys", "~*tokencache-lock:*", "%R~*")
    end,
    mend = function() real.redis:cli("ACL", "SETUSER", "default", "~*") end,
  }, {
    name = "which takes no writes any more",
    fail = function() real.redis:cli("CONFIG", "SET", "min-replicas-to-write", 1) end,
    mend = function() real.redis:cli("CONFIG", "SET", "min-replicas-to-write", 0) end,
  }, {
    name = "whose user may not write any more",
    fail = function() real.redis:cli("ACL", "SETUSER", "default", "-@write") end,
    mend = function() real.redis:cli("ACL", "SETUSER", "default", "+@all") end,
  } },
  memcached = { {
    name = "that is frozen",
    fail = function() real:freeze_memcached() end,
    mend = function() real:thaw_memcached() end,
    is_unreadable = true,
  } },
}

local backends = {}
for name, new_store in pairs(real.new) do
  backends[#backends + 1] = { name = name, store = new_store,
    faults = faults[name:match("(%S+)$")] }
end
table.sort(backends, function(a, b) return a.name < b.name end)

--- The two ways to name an account: a store and its key, or a handler of its own.
local ways = {
  ["by its key in a store"] = function(new_store)
    return { server = server, store = new_store }
  end,
  ["as the one of a flow"] = function(new_store)
    return { server = server, cache = function()
      return tokencache.cache.from_store(new_store(), login_trial.KEY)
    end }
  end,
}

for _, backend in ipairs(backends) do
  for way, settings in pairs(ways) do
    -- A coroutine of LuaJIT is not one of 5.4: it goes through real failures, too.
    local tag = suite.is_jit and backend.name == "Redis" and "" or " #c"
    describe(("a login %s over %s%s"):format(way, backend.name, tag), function()
      local trial

      before_each(function()
        trial = login_trial.new(settings(backend.store))
        trial:log_in()
      end)

      for _, fault in ipairs(backend.faults) do
        it("survives one " .. fault.name .. " after the request was sent", function()
          trial:survives_failed_save(fault.fail, fault.mend)
        end)

        it("is not spent at one " .. fault.name, function()
          trial:foresees(fault.fail, fault.mend, fault.is_unreadable)
        end)

        if settings(backend.store).store then
          it("is logged out whole, or not at all, at one " .. fault.name, function()
            trial:is_logged_out_whole(fault.fail, fault.mend)
          end)
        end
      end
    end)
  end
end

describe("a login in a memcached that dies after the request was sent #c", function()
  it("is saved in the next one", function()
    for _, settings in pairs(ways) do
      for _, name in ipairs { "memcached", "encrypted memcached" } do
        local trial = login_trial.new(settings(real.new[name]))
        trial:log_in()
        trial:survives_failed_save(function() real.memcached:kill() end,
          function() real.memcached:restart() end)
      end
    end
  end)
end)

describe("a login in a memcached #c", function()
  it("that takes no item as large as the next may be is not spent", function()
    for _, settings in pairs(ways) do
      local trial = login_trial.new(settings(real.new.memcached))
      local info, size = trial:log_in(), 2 ^ 20
      log.set_logger(false)
      repeat
        size = size - 512
        local saved = trial:handler():save_token_to_cache(merged(info, { note = ("x"):rep(size) }))
      until saved
      trial:foresees(function() end, function()
        assert(trial:handler():save_token_to_cache(info))
      end)
    end
  end)
end)

describe("a login in a Redis that dies after the request was sent #c", function()
  it("is saved in the next one", function()
    for _, settings in pairs(ways) do
      for _, name in ipairs { "Redis", "encrypted Redis" } do
        local trial = login_trial.new(settings(real.new[name]))
        trial:log_in()
        trial:survives_failed_save(function() real.redis:kill() end,
          function() real.redis:restart() end)
      end
    end
  end)
end)

describe("a login in the memory of a process", function()
  --- A store in this process's memory, whose writes fail while the switch is on.
  local function breakable(store, names)
    local switch = { on = false }
    for _, name in ipairs(names) do
      local method = store[name]
      store[name] = function(...)
        if switch.on then
          return nil, "the disk is full"
        end
        return method(...)
      end
    end
    return switch
  end

  for name, make in pairs {
    ["a user's table"] = function()
      local store = new_table_store()
      return store, breakable(store, { "set" })
    end,
    memory = function()
      local store = tokencache.store.memory()
      return store, breakable(store, { "set", "replace" }), breakable(store, { "can_save" })
    end,
    ["an encrypted table"] = function()
      local store = new_table_store()
      return real_stores.encrypted(store), breakable(store, { "set" })
    end,
  } do
    for way, settings in pairs(ways) do
      it(("%s over %s survives a save that fails"):format(way, name), function()
        local store, switch, foreseen = make()
        local trial = login_trial.new(settings(function() return store end))
        trial:log_in()
        trial:survives_failed_save(function() switch.on = true end,
          function() switch.on = false end)
        if foreseen then
          trial:foresees(function() foreseen.on = true end, function() foreseen.on = false end)
        end
      end)
    end
  end
end)
