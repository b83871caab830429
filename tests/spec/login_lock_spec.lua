-- A login and a renewal of the login that was there before, at the same time.

local log = require "tokencache.log"
local logins = require "support.logins"
local stages = require "support.stage"
local threads = require "support.threads"

after_each(function()
  log.set_logger(nil)
end)

--- A stage whose server knows refresh-1, each time replaced, and the code of a new login.
local function new_stage()
  local stage = stages.new { lock = true, token_info = logins.LOGIN }
  local renewals = 0
  stage.on.request = function(request)
    if request.body:find("code=the-code", 1, true) then
      return stages.answer { access_token = "of the new login", refresh_token = "new-refresh",
        expires_in = 3600 }
    end
    renewals = renewals + 1
    assert.matches("refresh_token=refresh-" .. renewals, request.body, 1, true)
    return stages.answer { access_token = "access-" .. renewals,
      refresh_token = "refresh-" .. renewals + 1, expires_in = 3600 }
  end
  return stage
end

--- The second half of a login.
local function log_in(flow)
  local url, pending = flow:get_authorize_url()
  local state = url:match("state=([^&]+)")
  return function()
    local info = assert(flow:exchange("?code=the-code&state=" .. state, pending))
    assert.equal("of the new login", info.access_token)
  end
end

describe("a login beside a renewal of the former one", function()
  local function race(stage, renewing, logging_in, seed)
    stage.yields = true
    local renewal = coroutine.create(function()
      local token = assert(renewing:get_access_token())
      assert.is_true(token == "access-1" or token == "of the new login")
    end)
    threads.interleave({ renewal, coroutine.create(log_in(logging_in)) },
      threads.random_numbers(seed))
    assert.equal("of the new login", stage.stored.access_token, "seed " .. seed)
    assert.equal("new-refresh", stage.stored.refresh_token)
    assert.is_nil(stage.holder)
    assert.same({}, stage.logged)
  end

  it("is what the cache holds in the end, by two flows", function()
    for seed = 1, 300 do
      local stage = new_stage()
      race(stage, stage:user_flow(), stage:user_flow(), seed)
    end
  end)

  it("is what the cache holds in the end, by one flow", function()
    for seed = 1, 300 do
      local stage = new_stage()
      local flow = stage:user_flow()
      race(stage, flow, flow, seed)
      stage.yields = false
      assert.equal("of the new login", flow:get_access_token())
    end
  end)

  it("is what the cache holds in the end where saves fail now and then", function()
    for seed = 1, 300 do
      local stage = new_stage()
      local random = threads.random_numbers(seed)
      stage.yields = true
      stage:fail_some_saves(random)
      local renewing, logging_in = stage:user_flow(), stage:user_flow()
      threads.interleave({
        coroutine.create(function() renewing:get_access_token() end),
        coroutine.create(log_in(logging_in)),
      }, random)
      stage.yields, stage.on.save, stage.now = false, nil, stage.now + 1
      assert.equal("of the new login", logging_in:get_access_token(), "seed " .. seed)
      assert.equal("of the new login", renewing:get_access_token(), "seed " .. seed)
      assert.equal("of the new login", stage.stored.access_token, "seed " .. seed)
    end
  end)
end)

describe("a login", function()
  it("takes the lock for the exchange and reads nothing from the cache", function()
    local stage = new_stage()
    log_in(stage:user_flow())()
    assert.equal("try_lock request save unlock", stage:acts())
    assert.same({ 35 }, stage.ttls)
  end)

  it("takes the lock after the user has logged in", function()
    local stage = new_stage()
    stage.stored = nil
    local flow = stage:user_flow {
      authorize = function(url)
        stage.played[#stage.played + 1] = "authorize"
        return "?code=the-code&state=" .. url:match("state=([^&]+)")
      end,
    }
    assert.equal("of the new login", flow:get_access_token())
    assert.equal("load authorize try_lock request save unlock", stage:acts())
  end)

  it("is not lost where the lock stays busy", function()
    local stage = new_stage()
    stage.holder = "a process that was killed"
    log_in(stage:user_flow { timeout = 10 })()
    assert.is_true(math.abs(stage.monotonic - 55) < 1e-6)
    assert.equal("of the new login", stage.stored.access_token)
    assert.equal("a process that was killed", stage.holder)
    assert.same({ "warning another process keeps the cache's lock; the login is finished without "
      .. "it" }, stage.logged)
  end)

  it("is not lost where the lock fails", function()
    local stage = new_stage()
    stage.on.try_lock = function() return nil, "no lock server" end
    log_in(stage:user_flow())()
    assert.equal("try_lock request save", stage:acts())
    assert.same({ "warning the cache's lock failed, going on without it: no lock server" },
      stage.logged)
  end)

  it("that is refused releases the lock and leaves the former one", function()
    local stage = new_stage()
    stage.on.request = logins.dead
    local flow = stage:user_flow()
    local url, pending = flow:get_authorize_url()
    local info, err = flow:exchange("?code=x&state=" .. url:match("state=([^&]+)"), pending)
    assert.is_nil(info)
    assert.equal("reauthorize", err.kind)
    assert.equal("try_lock request unlock", stage:acts())
    assert.equal(logins.LOGIN, stage.stored)
  end)
end)

it("a login whose caller has left lets the next one begin, also where the lock is busy", function()
  local stage, is_closed = stages.new { lock = true, timers = true }, false
  function stage.io.random(count) return ("r"):rep(count) end
  function stage.io.log_in()
    return { code = "the-code", redirect_uri = "http://127.0.0.1:8080/" }, nil,
      { close = function() is_closed = true end }
  end
  local flow = stage:user_flow { redirect_uri = "http://127.0.0.1:8080/", authorize = nil,
    timeout = 5 }
  flow.may_log_in, stage.holder = true, {}
  local _, err = flow:get_access_token()
  assert.equal("timeout", err.kind)
  while #stage.timers > 0 do
    stage:wake()
  end
  assert.is_true(is_closed)
end)
