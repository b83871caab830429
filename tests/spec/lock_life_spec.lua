-- How long a lock lives: extended while work goes on under it, and not kept by who is gone.

local collect = require "support.collect"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local threads = require "support.threads"

local EXPIRED = { access_token = "expired", expires_at = 990 }

local function unavailable(retry_after)
  return stages.answer({}, 503, { ["retry-after"] = tostring(retry_after) })
end

after_each(function()
  log.set_logger(nil)
end)

describe("a lock that can be extended", function()
  it("is taken for ten seconds, whatever time the call has", function()
    local stage = stages.new { lock = "extendable" }
    stage:flow({ timeout = 60 }):get_access_token()
    stage.stored = nil
    stage:flow({ timeout = 2 }):get_access_token()
    assert.same({ 10, 10 }, stage.ttls)
  end)

  it("is extended to cover the request where the transport cannot keep heartbeats", function()
    local stage = stages.new { lock = "extendable" }
    stage:flow({ timeout = 60 }):get_access_token()
    assert.equal("load try_lock load extend_lock request save unlock", stage:acts())
    assert.same({ 65 }, stage.extended)
    assert.is_nil(stage.requests[1].heartbeat)
  end)

  it("is extended by heartbeats where the transport keeps them", function()
    local stage = stages.new { lock = "extendable" }
    stage.transport.heartbeats = true
    stage.on.request = function(request)
      assert.equal(3, request.heartbeat_interval)
      request.heartbeat()
      request.heartbeat()
      return stages.answer { access_token = "new", expires_in = 3600 }
    end
    assert.equal("new", stage:flow():get_access_token())
    assert.equal("load try_lock load request extend_lock extend_lock save unlock", stage:acts())
    assert.same({ 10, 10 }, stage.extended)
  end)

  it("is extended in a long pause before the request is repeated", function()
    local stage = stages.new { lock = "extendable" }
    stage.transport.heartbeats = true
    stage.on.request = function()
      stage.on.request = nil
      return unavailable(8)
    end
    assert.equal("access-1", stage:flow():get_access_token())
    assert.equal("load try_lock load request sleep extend_lock sleep extend_lock sleep extend_lock "
      .. "request save unlock", stage:acts())
    assert.same({ 3, 3, 2 }, stage.slept)
    assert.same({ 10, 10, 10 }, stage.extended)
  end)

  it("lasts through requests and pauses that are all shorter than a heartbeat's", function()
    local stage = stages.new { lock = "extendable" }
    local ends
    local function live(ttl)
      assert.is_true(not ends or stage.monotonic < ends, "the lock has ended")
      ends = stage.monotonic + ttl
    end
    stage.on.try_lock = function(ttl)
      live(ttl)
      return "mine"
    end
    stage.on.extend_lock = function(_, ttl)
      live(ttl)
      return true
    end
    stage.on.unlock = function()
      live(0)
    end
    stage.transport.heartbeats = true
    stage.on.request = function()
      stage.monotonic = stage.monotonic + 2.9
      return unavailable(3)
    end
    local _, err = stage:flow():get_access_token()
    assert.equal("transient", err.kind)
    assert.equal(3, #stage.requests)
  end)

  it("is not extended again and again where one may not sleep", function()
    local stage = stages.new { lock = "extendable" }
    stage.transport.heartbeats = true
    stage.on.request = function() return unavailable(8) end
    stage.on.sleep = function() return nil, "not here" end
    local _, err = stage:flow():get_access_token()
    assert.equal(503, err.status)
    assert.equal("load try_lock load request sleep unlock", stage:acts())
  end)

  it("is not held in the pauses of waiting for it", function()
    local stage = stages.new { lock = "extendable" }
    stage.holder = "another"
    stage:flow():get_access_token { timeout = 4 }
    assert.same({}, stage.extended)
  end)

  --- Reads the cache again, under the lock, so slowly that the lock must be looked after.
  local function slow(seconds)
    local stage = stages.new { lock = "extendable", token_info = logins.LOGIN }
    stage.transport.heartbeats = true
    stage.on.unlock = function() return true end
    stage.on.load = function()
      if #stage.ttls == 1 then
        stage.monotonic = stage.monotonic + seconds
      end
      return stage.stored
    end
    logins.rotate(stage)
    return stage
  end

  it("is extended before the refresh token is sent where the work before was slow", function()
    local quick, not_so_quick = slow(2), slow(3)
    assert.equal("access-1", quick:user_flow():get_access_token())
    assert.equal("load try_lock load request save unlock", quick:acts())
    assert.equal("access-1", not_so_quick:user_flow():get_access_token())
    assert.equal("load try_lock load extend_lock request save unlock", not_so_quick:acts())
    assert.same({ 10 }, not_so_quick.extended)
  end)

  it("and has ended before the refresh token is sent is taken again", function()
    local stage = slow(11)
    stage.on.extend_lock = function()
      stage.holder, stage.stored = nil, logins.NEWER -- another held it, and has renewed the login
      return false
    end
    assert.equal("newer", stage:user_flow():get_access_token())
    assert.equal("load try_lock load extend_lock unlock try_lock load unlock", stage:acts())
    assert.same({}, stage.requests)
    assert.equal(1, #stage.logged)
  end)

  it("and always has ended, as its handler says, is given up soon", function()
    for _, token_info in ipairs { logins.LOGIN, merged(logins.LOGIN, { expires_at = 1030 }) } do
      local stage = stages.new { lock = "extendable", token_info = token_info }
      stage.on.extend_lock = function() -- it says nothing
        assert(#stage.ttls < 9, "the lock is taken without end")
      end
      local token, err = stage:user_flow():get_access_token()
      if token_info.expires_at < stage.now then
        assert.is_nil(token)
        assert.equal("cache", err.kind)
        assert.matches("the cache's lock ended .*see that its extend_lock returns true",
          tostring(err))
      else
        assert.equal("old", token)
      end
      assert.equal(3, #stage.ttls)
      assert.same({}, stage.slept)
      assert.same({}, stage.requests)
      assert.is_nil(stage.holder)
    end
  end)

  it("and has ended is warned of once, and the work goes on", function()
    local stage = stages.new { lock = "extendable" }
    stage.transport.heartbeats = true
    stage.on.unlock = function() return true end -- a lock that has ended is no failure
    stage.on.request = function(request)
      stage.holder = "another"
      request.heartbeat()
      request.heartbeat()
      return stages.answer { access_token = "new", expires_in = 3600 }
    end
    assert.equal("new", stage:flow():get_access_token())
    assert.equal("load try_lock load request extend_lock save unlock", stage:acts())
    assert.same({ "warning the cache's lock could not be extended, another process may take it: "
      .. "it has ended" }, stage.logged)
    assert.equal("another", stage.holder)
  end)

  it("and cannot be for a while is warned of once, and tried again", function()
    local stage = stages.new { lock = "extendable" }
    stage.transport.heartbeats = true
    stage.on.extend_lock = function() return nil, "no lock server" end
    stage.on.request = function(request)
      request.heartbeat()
      request.heartbeat()
      stage.on.extend_lock = nil
      request.heartbeat()
      return stages.answer { access_token = "new", expires_in = 3600 }
    end
    assert.equal("new", stage:flow():get_access_token())
    assert.same({ 10 }, stage.extended)
    assert.same({ "warning the cache's lock could not be extended, another process may take it: "
      .. "no lock server" }, stage.logged)
  end)

  it("and cannot be taken is warned of once, and again where the reason is another", function()
    local stage = stages.new { lock = "extendable" }
    local reason = "no lock server"
    stage.on.try_lock = function() return nil, reason end
    local flow = stage:flow()
    for _ = 1, 3 do
      assert.truthy(flow:get_access_token { check_cache = false })
    end
    reason = "wrong password"
    assert.truthy(flow:get_access_token { check_cache = false })
    assert.same({
      "warning the cache's lock failed, going on without it: no lock server",
      "warning the cache's lock failed, going on without it: wrong password",
    }, stage.logged)
  end)

  it("is extended by heartbeats that yield", function()
    local stage = stages.new { lock = "extendable" }
    stage.yields, stage.transport.heartbeats = true, true
    stage.on.request = function(request)
      request.heartbeat()
      return stages.answer { access_token = "new", expires_in = 3600 }
    end
    local yielded, token = threads.run(function() return stage:flow():get_access_token() end)
    assert.equal("new", token)
    assert.equal("load try_lock load request extend_lock save unlock", yielded)
  end)
end)

describe("a lock that cannot be extended", function()
  it("is taken for the time that is left and five seconds, and left alone", function()
    local stage = stages.new { lock = true }
    stage.transport.heartbeats = true
    stage.on.request = function(request)
      assert.is_nil(request.heartbeat)
      stage.on.request = nil
      return unavailable(8)
    end
    stage:flow({ timeout = 20 }):get_access_token()
    assert.same({ 25 }, stage.ttls)
    assert.same({ 8 }, stage.slept)
  end)
end)

--- A guard that releases the stage's lock when it is collected, on Lua 5.1 too.
local function new_guard(stage)
  local function release()
    stage.holder, stage.guard_is_gone = nil, true
  end
  if not newproxy then -- luacheck: ignore 113
    return setmetatable({}, { __gc = release })
  end
  local guard = newproxy(true) -- luacheck: ignore 113
  getmetatable(guard).__gc = release
  return guard
end

describe("the lock's guard", function()
  local function guarded_stage()
    local stage = stages.new { lock = true, token_info = EXPIRED }
    stage.on.try_lock = function()
      if stage.holder then
        return false
      end
      stage.holder = {}
      return stage.holder, new_guard(stage)
    end
    return stage
  end

  it("is kept while the lock is held, and let go with it", function()
    local stage = guarded_stage()
    stage.on.request = function()
      collect()
      assert.is_nil(stage.guard_is_gone)
      return stages.answer { access_token = "new", expires_in = 3600 }
    end
    assert.equal("new", stage:flow():get_access_token())
    collect()
    assert.is_true(stage.guard_is_gone)
  end)

  for _, action in ipairs { "load", "request", "save", "unlock" } do
    it("releases the lock after " .. action .. " has raised", function()
      local stage = guarded_stage()
      local loads = 0
      stage.on[action] = function()
        loads = loads + 1
        if action == "load" and loads == 1 then
          return EXPIRED
        end
        error("a bug", 0)
      end
      local flow = stage:flow()
      assert.has_error(function() flow:get_access_token() end, "a bug")
      assert.is_table(stage.holder)
      collect()
      assert.is_nil(stage.holder)
      stage.on[action] = nil
      assert.equal("access-1", flow:get_access_token())
    end)

    it("releases the lock of a coroutine that was left in " .. action, function()
      local stage = guarded_stage()
      stage.yields = true
      local flow = stage:flow()
      local thread = coroutine.create(function() return flow:get_access_token() end)
      repeat
        local _, at = coroutine.resume(thread)
      until at == action and stage.holder
      collect()
      assert.is_table(stage.holder)
      thread = nil -- luacheck: ignore 311
      collect()
      assert.is_nil(stage.holder)
      stage.yields = false
      assert.matches("^access%-%d$", (flow:get_access_token()))
    end)
  end
end)

describe("the cache", function()
  it("is asked for a copy that is up to date wherever one decides over a refresh", function()
    local asked = {}
    local stage = stages.new { lock = true, token_info = logins.LOGIN }
    stage.on.load = function(anew)
      asked[#asked + 1] = tostring(anew)
      return stage.stored
    end
    stage.on.request = logins.dead
    stage:user_flow():get_access_token()
    assert.same({ "nil", "true", "true" }, asked)
  end)

  it("that may be out of date is read again before a token is renewed", function()
    local stage = stages.new { lock = true, token_info = logins.LOGIN }
    stage.handler.may_be_stale = true
    stage.on.load = function(anew)
      return anew and logins.NEWER or logins.LOGIN
    end
    assert.equal("newer", stage:user_flow():get_access_token())
    assert.equal("load load", stage:acts())
    assert.same({}, stage.requests)
  end)

  it("that may be out of date is believed as long as its token is fresh", function()
    local stage = stages.new { token_info = logins.NEWER }
    stage.handler.may_be_stale = true
    assert.equal("newer", stage:user_flow():get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("is told when an entry is of no use any more", function()
    local stage = stages.new { token_info = EXPIRED }
    stage:flow():get_access_token()
    assert.equal(4600, stage.saved_until)
    stage = stages.new { token_info = logins.LOGIN }
    stage:user_flow():get_access_token()
    assert.is_nil(stage.saved_until)
    stage = stages.new { token_info = logins.LOGIN }
    stage:user_flow({ provider = {
      token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
      refresh_token_lifetime = 9000,
    } }):get_access_token()
    assert.equal(9500, stage.saved_until)
  end)
end)
