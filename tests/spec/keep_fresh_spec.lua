local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local tokencache = require "tokencache"

describe("keep_fresh", function()
  local stage
  local byte -- of all that is random

  --- Tokens live for an hour, the leeway is a minute, and the clock begins at 1000.
  local function set(settings)
    settings = merged({ timers = true, lock = true }, settings)
    stage = stages.new(settings)
    byte = "\0"
    stage.io.random = function(count) return byte:rep(count) end
  end

  before_each(function() set {} end)

  after_each(function() log.set_logger() end)

  --- Wakes until a request has been sent, and returns the time.
  local function wake_until_request()
    local before = #stage.requests
    for _ = 1, 1000 do
      stage:wake()
      if #stage.requests > before then
        return stage.now
      end
    end
    error("no request was ever sent")
  end

  --- The pauses before the next `count` wakings.
  local function pauses(count)
    local all = {}
    for i = 1, count do
      all[i] = stage:wake()
    end
    return all
  end

  it("gets a token at once, but not in the caller's own time", function()
    local flow = stage:flow()
    assert.is_true(flow:keep_fresh())
    assert.equal(0, #stage.requests)
    assert.equal(0, stage:wake())
    assert.equal("access-1", stage.stored.access_token)
    assert.equal("access-1", flow:get_access_token())
    assert.equal(1, #stage.requests)
  end)

  it("renews a minute before a request would, again and again", function()
    stage:flow():keep_fresh()
    assert.equal(1000, wake_until_request())
    assert.equal(1000 + 3600 - 60 - 60, wake_until_request())
    assert.equal(4480 + 3480, wake_until_request())
    assert.equal("access-3", stage.stored.access_token)
    assert.same({}, stage.logged)
  end)

  it("takes the margin, from the leeway of the flow", function()
    stage:flow { leeway = 100 }:keep_fresh { margin = 500 }
    wake_until_request()
    assert.equal(1000 + 3600 - 100 - 500, wake_until_request())
  end)

  it("spreads those who share a cache", function()
    byte = "\128" -- one half
    stage:flow():keep_fresh { jitter = 30 }
    wake_until_request()
    assert.equal(-15, math.ceil(wake_until_request() - 4480))
  end)

  it("lets a token serve for half of its time at least, or a quarter with jitter", function()
    stage.on.request = function()
      return stages.answer { access_token = "short", expires_in = 5 }
    end
    stage:flow { leeway = 1 }:keep_fresh()
    wake_until_request()
    assert.equal(1000 + 5 - 1 - 2, wake_until_request())
    byte = "\255"
    assert.equal(1004, wake_until_request())
    local fourth = wake_until_request()
    assert.is_true(fourth > 1005 and fourth < 1005.1, fourth)
  end)

  it("counts the lifetime of a token that another fetched from when it was fetched", function()
    stage.stored = { access_token = "old", expires_in = 3600, expires_at = 1200 }
    stage:flow():keep_fresh()
    stage:wake()
    assert.equal(0, #stage.requests)
    assert.equal(1200 - 60 - 60, wake_until_request())
  end)

  it("sees by the minute what others put into the cache", function()
    stage:flow():keep_fresh()
    stage:wake()
    assert.same({ 60, 60 }, pauses(2))
    stage.stored = { access_token = "another's", expires_in = 500, expires_at = stage.now + 500 }
    assert.equal(stage.now + 500 - 120, wake_until_request())
  end)

  it("does not renew what another has renewed", function()
    stage:flow():keep_fresh()
    stage:wake()
    local due = 1000 + 3600 - 120
    while stage.now + 60 < due do
      stage:wake()
    end
    stage.stored = { access_token = "another's", expires_in = 3600, expires_at = due + 3600 }
    stage:wake()
    assert.equal(due, stage.now)
    assert.equal("another's", stage.stored.access_token)
    assert.equal(1, #stage.requests)
  end)

  it("leaves it to the one that holds the lock, and looks again", function()
    stage.stored = { access_token = "old", expires_in = 3600, expires_at = 1100 }
    stage.holder = "another"
    local flow = stage:flow()
    flow:keep_fresh()
    assert.same({ 0, 1, 2, 4 }, pauses(4))
    assert.equal(0, #stage.requests)
    assert.same({}, stage.slept)
    stage.holder = nil
    stage.stored = { access_token = "another's", expires_in = 3600, expires_at = 4600 }
    stage:wake()
    assert.equal(60, stage:wake())
    assert.equal(0, #stage.requests)
    assert.same({}, stage.logged)
  end)

  it("waits longer and longer after errors, while the old token serves", function()
    stage.stored = { access_token = "old", expires_in = 3600, expires_at = 2000 }
    local flow = stage:flow { timeout = 0.1 }
    flow:keep_fresh()
    stage.on.request = function() return nil, { kind = "transient", message = "away" } end
    while stage.now < 1880 do
      stage:wake()
    end
    assert.equal(1, #stage.requests)
    assert.same({ 1, 2, 4, 8, 16 }, pauses(5))
    assert.equal("old", flow:get_access_token())
    assert.equal(6, #stage.requests)
    assert.equal("warning keep_fresh: the token could not be renewed: away", stage.logged[6])
    assert.same({ 32, 60, 60 }, pauses(3))
    stage.on.request = nil
    stage:wake()
    assert.equal("access-1", flow:get_access_token())
    assert.equal(60, stage:wake())
  end)

  it("waits as long as the server asks", function()
    stage.on.request = function()
      return stages.answer({ error = "temporarily_unavailable" }, 503, { ["Retry-After"] = "300" })
    end
    stage:flow():keep_fresh()
    stage:wake()
    assert.equal(1, #stage.requests)
    assert.equal(300, stage:wake())
  end)

  it("does not hammer a server that gives the same token again", function()
    stage.on.request = function()
      return stages.answer { access_token = "same", expires_in = math.floor(4600 - stage.now) }
    end
    stage:flow():keep_fresh()
    wake_until_request()
    wake_until_request()
    assert.same({ 1, 2, 4, 8 }, pauses(4))
  end)

  it("goes on after a handler that raises", function()
    stage.on.load = function() error("a bug") end
    stage:flow():keep_fresh()
    stage:wake()
    assert.matches("^error keep_fresh: .*a bug", stage.logged[1])
    stage.on.load = nil
    assert.equal(1, stage:wake())
    assert.equal("access-1", stage.stored.access_token)
  end)

  it("saves what could not be saved before", function()
    stage.on.save = logins.fail
    local flow = stage:flow()
    flow:keep_fresh()
    stage:wake()
    assert.is_nil(stage.stored)
    stage.on.save = nil
    assert.equal(1, stage:wake())
    assert.equal("access-1", stage.stored.access_token)
    assert.equal(1, #stage.requests)
  end)

  it("renews a login, and waits for one where there is none", function()
    local flow = stage:user_flow()
    flow:keep_fresh()
    assert.same({ 0, 60, 60 }, pauses(3))
    assert.same({ "warning keep_fresh: there is no login to renew; the user must log in" },
      stage.logged)
    logins.rotate(stage)
    stage.stored = merged(logins.LOGIN, { expires_in = 3600, expires_at = stage.now + 300 })
    assert.equal(stage.now + 300 - 120, wake_until_request())
    assert.equal("refresh-2", stage.stored.refresh_token)
    assert.equal(500, stage.stored.authorized_at)
  end)

  it("renews tokens that live no longer than the leeway, in the middle of their life", function()
    stage.on.request = function()
      return stages.answer { access_token = "short", expires_in = 60 }
    end
    stage:flow():keep_fresh()
    assert.same({ 0, 15, 15 }, pauses(3))
    assert.equal(3, #stage.requests)
  end)

  it("leaves a token alone that does not end", function()
    stage.on.request = function() return stages.answer { access_token = "for ever" } end
    stage:flow():keep_fresh()
    assert.same({ 0, 60, 60 }, pauses(3))
    assert.equal(1, #stage.requests)
  end)

  it("ends with the process", function()
    stage:flow():keep_fresh()
    stage.on.after = function() return false end
    stage:wake()
    assert.equal(0, #stage.timers)
    assert.same({}, stage.slept)
  end)

  it("tries again where no timer can be had", function()
    local flow = stage:flow()
    stage.on.after = function() return nil, "all timers are taken" end
    local ok, err = flow:keep_fresh()
    assert.is_nil(ok)
    assert.equal("all timers are taken", err)
    stage.on.after = nil
    assert.is_true(flow:keep_fresh())
    local refusals = 2
    stage.on.after = function(seconds, fn)
      refusals = refusals - 1
      if refusals >= 0 then
        return nil, "all timers are taken"
      end
      stage.timers[1] = { at = stage.monotonic + seconds, fn = fn }
      return true
    end
    stage:wake()
    assert.equal(1, #stage.timers)
    assert.same({ 1, 1 }, stage.slept)
    assert.equal("error keep_fresh: all timers are taken", stage.logged[1])
  end)

  it("raises where it is called wrongly, or cannot work", function()
    local flow = stage:flow()
    assert.error_matches(function() flow:keep_fresh { margn = 1 } end,
      "keep_fresh: unknown option margn; did you mean margin?")
    assert.error_matches(function() flow.keep_fresh() end, "keep_fresh: call it on a flow")
    flow:keep_fresh()
    assert.error_matches(function() flow:keep_fresh() end, "keep_fresh: this flow is kept fresh")
    assert.error_matches(function()
      tokencache.flow.client_credentials {
        provider = { token_url = "https://id.example/token" }, client_id = "a",
        client_secret = "b", cache = tokencache.cache.memory {},
      }:keep_fresh()
    end, "keep_fresh: there are no timers here; it works in nginx, or with an io table that has")
    local implicit = tokencache.flow.implicit {
      provider = { authorize_url = "https://id.example/authorize" }, client_id = "a",
      redirect_uri = stages.REDIRECT_URI, cache = stage.handler, io = stage.io,
    }
    assert.error_matches(function() implicit:keep_fresh() end, "implicit grant cannot be renewed")
  end)
end)
