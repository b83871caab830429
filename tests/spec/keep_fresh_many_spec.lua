-- keep_fresh of a flow with many accounts: those that are in use, spread, some at a time.

local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local new_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

describe("keep_fresh of many accounts", function()
  local stage, store, flow

  before_each(function()
    stage, store = stages.new { timers = true }, new_store()
    logins.rotate(stage)
    stage.io.random = function(count) return ("\0"):rep(count) end
    flow = stage:user_flow { store = store }
  end)

  after_each(function()
    log.set_logger(nil)
  end)

  --- Logins whose tokens serve for an hour from now on.
  local function log_in(...)
    for _, key in ipairs { ... } do
      tokencache.cache.from_store(store, key):save_token_to_cache(merged(logins.LOGIN, {
        access_token = "old of " .. key, refresh_token = "of-" .. key,
        expires_in = 3600, expires_at = stage.now + 3600 }))
    end
  end

  --- Lets timers run until the clock has moved on by so many seconds.
  local function pass(seconds)
    local ends = stage.monotonic + seconds
    while stage.monotonic < ends do
      stage:wake()
    end
  end

  it("renews those that were asked for, ahead of time, and no others", function()
    log_in("anna", "ben", "carl")
    assert(flow:keep_fresh())
    assert.equal("old of anna", flow:account("anna"):get_access_token())
    assert.equal("old of ben", flow:account("ben"):get_access_token())
    pass(3400)
    assert.equal(0, #stage.requests)
    pass(100) -- a request would renew them 60 seconds before the end, keep_fresh does it at 120
    assert.equal(2, #stage.requests)
    assert.matches("^access%-[12]$", flow:account("anna"):peek_access_token())
    assert.matches("^access%-[12]$", flow:account("ben"):peek_access_token())
  end)

  it("leaves alone who was not asked for since the last renewal", function()
    log_in("anna", "ben")
    assert(flow:keep_fresh())
    flow:account("anna"):get_access_token()
    flow:account("ben"):get_access_token()
    pass(3500)
    assert.equal(2, #stage.requests)
    flow:account("ben"):get_access_token()
    pass(3600)
    assert.equal(3, #stage.requests)
  end)

  it("renews so many at a time, and all of them in the end", function()
    local under_way, most = 0, 0
    local keys = {}
    for i = 1, 30 do
      keys[i] = "user" .. i
    end
    for _, key in ipairs(keys) do
      log_in(key)
    end
    local answer = stage.on.request
    stage.on.request = function(request)
      under_way = under_way + 1
      most = math.max(most, under_way)
      local response = answer(request)
      under_way = under_way - 1
      return response
    end
    assert(flow:keep_fresh { at_once = 3 })
    for _, key in ipairs(keys) do
      flow:account(key):get_access_token()
    end
    -- the round waits while as many are under way: the stage runs their timers meanwhile
    stage.on.sleep = function()
      if #stage.timers > 0 then
        stage:wake()
      end
    end
    pass(3530)
    assert.equal(30, #stage.requests)
    assert.is_true(most <= 3, most)
  end)

  it("slows down where the provider says that it is too much", function()
    log_in("anna", "ben")
    log.set_logger(false)
    assert(flow:keep_fresh { at_once = 1 })
    flow:account("anna"):get_access_token()
    flow:account("ben"):get_access_token()
    local times = {}
    stage.on.request = function()
      times[#times + 1] = stage.monotonic
      return stages.answer({}, 429, { ["retry-after"] = "50" })
    end
    stage.on.sleep = function()
      if #stage.timers > 0 then
        stage:wake()
      end
    end
    pass(3540)
    assert.is_true(#times >= 2)
    for i = 2, #times do
      assert.is_true(times[i] - times[i - 1] >= 50, table.concat(times, " "))
    end
  end)

  it("raises where it is called wrongly", function()
    assert.error_matches(function() flow:keep_fresh { at_once = 0 } end,
      "keep_fresh: at_once must be a number above zero, not 0", 1, true)
    assert(flow:keep_fresh())
    assert.error_matches(function() flow:keep_fresh() end, "this flow is kept fresh already", 1,
      true)
  end)
end)
