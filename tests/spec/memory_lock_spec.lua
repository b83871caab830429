-- The lock of the memory handler: between the coroutines of a Lua state.

local collect = require "support.collect"
local core = require "tokencache._core"
local flow_locks = require "support.flow_locks"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local memory = require "tokencache.cache.memory"
local process = require "support.process"
local stages = require "support.stage"
local tokencache = require "tokencache"

describe("the lock of the memory handler", function()
  local handler

  before_each(function() handler = memory() end)
  after_each(function() log.set_logger(nil) end)

  local function take(ttl)
    local handle, guard = handler:try_lock(ttl or 10)
    return { handle = handle, guard = guard }
  end

  it("is held by one until it is released", function()
    local lock = take()
    assert.is_number(lock.handle)
    assert.is_false((handler:try_lock(10)))
    assert.is_true(handler:unlock(lock.handle))
    lock = take()
    assert.is_false((handler:try_lock(10)))
    assert.is_true(handler:unlock(lock.handle))
  end)

  it("is not missed by a run after one that found it taken", function()
    local yield, logged = coroutine.yield, keep_log()
    local flow = tokencache.flow.client_credentials {
      provider = { token_url = "https://127.0.0.1/token" }, client_id = "a", client_secret = "b",
      cache = handler,
      http = { request = function()
        yield()
        return { status = 200,
          body = '{"access_token":"new","token_type":"Bearer","expires_in":3600}' }
      end },
      io = { sleep = function() yield() end },
    }
    local function new_thread(options)
      return coroutine.wrap(function() return assert(flow:get_access_token(options)) end)
    end
    local holder, waiter = new_thread(), new_thread()
    holder()
    waiter()
    assert.equal("new", holder())
    assert.equal("new", waiter())
    local alone = new_thread { check_cache = false }
    alone()
    assert.equal("new", alone())
    assert.same({}, logged)
  end)

  it("knows no handle but its own", function()
    local first = take()
    handler:unlock(first.handle)
    local lock, other = take(), memory()
    local others = { other:try_lock(10) }
    for _, handle in ipairs { first.handle, others[1], 0, -1, lock.handle + 1, 0 / 0 } do
      assert.is_true(handler:unlock(handle))
      assert.is_false((handler:try_lock(10)))
    end
    first.guard = nil
    collect()
    assert.is_false((handler:try_lock(10)))
    assert.is_false((other:try_lock(10)))
    assert.error_matches(function() handler:unlock {} end, "number expected")
    assert.error_matches(function() handler:try_lock() end, "number expected")
    assert.error_matches(function() handler.try_lock({}, 1) end, "tokencache.memory expected")
  end)

  it("ends when its time is over", function()
    local short = take(0.02)
    local long = process.wait_until("the end of the first", function()
      local lock = take()
      return lock.handle and lock
    end)
    assert.is_true(handler:unlock(short.handle))
    assert.is_false((handler:try_lock(10)))
    assert.is_true(handler:unlock(long.handle))
  end)

  it("ends with its guard, and that lives without the handler", function()
    local lock = take()
    collect()
    assert.is_false((handler:try_lock(10)))
    lock.guard = nil
    collect()
    lock = take()
    assert.is_number(lock.handle)
    handler = nil
    collect()
    lock.guard = nil
    collect()
  end)

  it("outlives no call that a transport ended with an error", function()
    flow_locks.check_raising(handler)
  end)

  it("outlives no call that was abandoned", function()
    local stage = stages.new()
    stage.on.request = coroutine.yield
    local flow = stage:flow { cache = handler }
    coroutine.resume(coroutine.create(function() return flow:get_access_token() end))
    stage.on.request, stage.on.sleep = nil, core.sleep
    assert.equal("access-1", flow:get_access_token())
  end)

  it("is kept by a call that waits for its transport", function()
    flow_locks.check_waiting(handler, function() assert.is_false((handler:try_lock(10))) end)
    assert.is_number(take().handle)
  end)
end)
