-- Refresh where the cache fails: what was renewed and not saved lives on in memory.

local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"

local LOGIN, NEWER = logins.LOGIN, logins.NEWER
local expect_reauthorize = logins.expect_reauthorize

after_each(function()
  log.set_logger(nil)
end)

describe("a handler whose replace_cached_token returns nothing", function()
  it("is named in the log", function()
    local stage = stages.new { token_info = logins.LOGIN }
    logins.rotate(stage)
    function stage.handler.replace_cached_token() end
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.matches("the save is tried again: replace_cached_token returned nothing$",
      stage.logged[1])
  end)
end)

describe("a renewed login that could not be saved", function()
  --- A flow that has renewed the login to refresh-2, and could not save it.
  local function unsaved(changes, settings)
    local stage = stages.new(merged({ token_info = LOGIN }, settings))
    logins.rotate(stage, changes)
    stage.on.save = logins.fail
    local flow = stage:user_flow(settings and settings.options)
    assert(flow:get_access_token())
    assert.equal("refresh-1", stage.stored.refresh_token)
    stage:acts()
    return stage, flow
  end

  it("is returned, reported, and saved at the next call", function()
    local stage, flow = unsaved()
    assert.same({ "error the token could not be saved; it is kept in memory, and the save is "
      .. "tried again: the disk is full" }, stage.logged)
    stage.on.save = nil
    assert.equal("access-1", flow:get_access_token())
    assert.equal("load save", stage:acts())
    assert.equal("refresh-2", stage.stored.refresh_token)
    assert.equal(500, stage.stored.authorized_at)
    assert.equal("access-1", flow:get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("is renewed by the refresh token in memory, not by the one in the cache", function()
    local stage, flow = unsaved()
    stage.now = 9000
    assert.equal("access-2", flow:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    stage.on.save, stage.now = nil, 90000
    assert.equal("access-3", flow:get_access_token())
    assert.equal("refresh-1 refresh-2 refresh-3", logins.sent(stage))
    assert.equal("refresh-4", stage.stored.refresh_token)
  end)

  it("by a handler that raised is there at the next call", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage)
    stage.on.save = function() error("a bug", 0) end
    local flow = stage:user_flow()
    assert.has_error(function() flow:get_access_token() end, "a bug")
    stage.on.save = nil
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-2", stage.stored.refresh_token)
    assert.equal(1, #stage.requests)
  end)

  it("serves while the cache cannot even be read", function()
    local stage, flow = unsaved()
    stage.on.load = logins.fail
    assert.equal("access-1", flow:get_access_token())
    stage.now = 9000
    local token, err = flow:get_access_token() -- what it would replace is not known
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    assert.equal("refresh-1", logins.sent(stage))
    stage.on.load = nil
    assert.equal("access-2", flow:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
  end)

  it("is not given up for the token it replaced, whose end is later", function()
    local stage, flow = unsaved({ expires_in = "soon" },
      { token_info = merged(LOGIN, { expires_at = 1050 }) })
    stage.on.save = nil
    assert.equal("access-2", flow:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    assert.equal("refresh-3", stage.stored.refresh_token)
  end)

  it("nor after it was renewed again", function()
    local stage, flow = unsaved({ expires_in = "soon" },
      { token_info = merged(LOGIN, { expires_at = 1050 }) })
    assert.equal("access-2", flow:get_access_token())
    stage.on.save = nil
    assert.equal("access-3", flow:get_access_token())
    assert.equal("refresh-1 refresh-2 refresh-3", logins.sent(stage))
  end)

  it("gives way to a later login, whose end is earlier", function()
    local stage, flow = unsaved()
    stage.stored = merged(NEWER, { authorized_at = 1001, expires_at = 1500 })
    assert.equal("newer", flow:get_access_token())
    assert.equal("load", stage:acts())
    assert.equal(1500, stage.stored.expires_at)
  end)

  it("gives way to whatever else is there by now: times do not decide", function()
    local stage, flow = unsaved()
    stage.stored = merged(NEWER, { authorized_at = 400, expires_at = 9000 })
    stage.on.save = nil
    assert.equal("newer", flow:get_access_token())
    assert.equal("load", stage:acts())
    assert.equal(NEWER.refresh_token, stage.stored.refresh_token)
  end)

  it("is saved where the entry has vanished: stores lose entries", function()
    local stage, flow = unsaved()
    stage.stored, stage.on.save = nil, nil
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-2", stage.stored.refresh_token)
  end)

  it("is found by another flow over the same cache", function()
    local stage = unsaved()
    stage.on.save = nil
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal("load save", stage:acts())
    assert.equal("refresh-1", logins.sent(stage))
    assert.equal("refresh-2", stage.stored.refresh_token)
  end)

  it("and is dead meanwhile is forgotten; the one that it replaced is spent", function()
    local stage, flow = unsaved()
    stage.now, stage.on.request = 9000, logins.dead
    expect_reauthorize(flow:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    assert.is_nil(stage.stored)
    expect_reauthorize(flow:get_access_token())
    assert.equal(2, #stage.requests)
  end)

  it("whose save had worked after all is asked for once when it is dead", function()
    local stage, flow = unsaved()
    stage.stored = merged(LOGIN, { access_token = "access-1", refresh_token = "refresh-2",
      expires_at = 4600 })
    stage.now, stage.on.request = 9000, logins.dead
    expect_reauthorize(flow:get_access_token())
    expect_reauthorize(flow:get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
  end)

  it("is what reauthorization_due_in goes by", function()
    local stage, flow = unsaved()
    flow.refresh_token_lifetime = 5000
    stage.stored = merged(LOGIN, { authorized_at = 100 })
    assert.equal(4500, flow:reauthorization_due_in())
    stage.on.load = logins.fail
    assert.equal(4500, flow:reauthorization_due_in())
    stage.on.save, stage.on.load = nil, nil
    assert(flow:get_access_token())
    stage.stored = merged(LOGIN, { authorized_at = 700 })
    assert.equal(4700, flow:reauthorization_due_in())
  end)

  it("is kept under on_invalid_grant = keep", function()
    local stage, flow = unsaved(nil, { options = { on_invalid_grant = "keep" } })
    stage.now, stage.on.request, stage.stored = 9000, logins.dead, nil
    expect_reauthorize(flow:get_access_token())
    stage.on.save = nil
    logins.rotate(stage)
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-1 refresh-2 refresh-2", logins.sent(stage))
  end)
end)

describe("a cache that cannot be read", function()
  it("never makes the user log in again", function()
    local stage = stages.new { lock = true }
    stage.on.load = logins.fail
    local asked = 0
    local flow = stage:user_flow { authorize = function() asked = asked + 1 end }
    local token, err = flow:get_access_token()
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    assert.equal("the disk is full", tostring(err))
    assert.equal("load", stage:acts())
    assert.equal(0, asked)
    assert.same({ "warning the cache could not be read: the disk is full" }, stage.logged)
  end)

  it("is not hidden by reauthorization_due_in", function()
    local stage = stages.new { token_info = LOGIN }
    local provider = { token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize", refresh_token_lifetime = 5000 }
    local flow = stage:user_flow { provider = provider }
    assert.equal(4500, flow:reauthorization_due_in())
    for message, load in pairs {
      ["the disk is full"] = logins.fail,
      ["get_cached_token must return a table"] = function() return "a token" end,
    } do
      stage.on.load = load
      local seconds, err = flow:reauthorization_due_in()
      assert.is_nil(seconds)
      assert.equal("cache", err.kind)
      assert.matches(message, tostring(err), 1, true)
    end
    stage.on.load = function() end
    local seconds, err = flow:reauthorization_due_in()
    assert.is_nil(seconds)
    assert.is_nil(err)
  end)

  it("under the lock keeps the token read before from being used up", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    stage:before_lock(function() stage.on.load = logins.fail end)
    local _, err = stage:user_flow():get_access_token()
    assert.equal("cache", err.kind)
    assert.equal("load try_lock load unlock", stage:acts())
  end)

  it("keeps a token with some seconds left going", function()
    local stage = stages.new { token_info = merged(LOGIN, { expires_at = 1030 }), lock = true }
    stage:before_lock(function() stage.on.load = logins.fail end)
    assert.equal("old", stage:user_flow():get_access_token())
    assert.equal(0, #stage.requests)
  end)
end)
