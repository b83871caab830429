-- A refresh that the program asks for: of the cached login or another.

local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"

local LOGIN, NEWER = logins.LOGIN, logins.NEWER
local expect_reauthorize = logins.expect_reauthorize

after_each(function()
  log.set_logger(nil)
end)

describe("refresh_access_token", function()
  it("renews the cached token before its time", function()
    local stage = stages.new { token_info = NEWER, lock = true }
    logins.rotate(stage)
    assert.equal("access-1", stage:user_flow():refresh_access_token().access_token)
    assert.equal("refresh-2", logins.sent(stage))
    assert.equal("load try_lock load request save unlock", stage:acts())
    assert.equal(500, stage.stored.authorized_at)
  end)

  it("without a login says so, and asks nobody", function()
    local stage, asked = stages.new(), 0
    expect_reauthorize(stage:user_flow({ authorize = function() asked = asked + 1 end })
      :refresh_access_token())
    assert.equal(0, asked)
    assert.equal("load", stage:acts())
  end)

  it("with the cached refresh token keeps all that is known of the login", function()
    local stage = stages.new { token_info = merged(NEWER, { note = "mine" }), lock = true }
    logins.rotate(stage)
    stage:user_flow():refresh_access_token("refresh-2")
    assert.equal("load try_lock load request save unlock", stage:acts())
    assert.equal(500, stage.stored.authorized_at)
    assert.equal("mine", stage.stored.note)
  end)

  it("with the unsaved one likewise", function()
    local stage = stages.new { token_info = merged(LOGIN, { note = "mine" }) }
    logins.rotate(stage)
    stage.on.save = logins.fail
    local flow = stage:user_flow()
    flow:get_access_token()
    stage.on.save = nil
    flow:refresh_access_token("refresh-2")
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    assert.equal(500, stage.stored.authorized_at)
    assert.equal("mine", stage.stored.note)
  end)

  it("with another one renews that login, and saves it", function()
    local stage = stages.new { token_info = merged(NEWER, { note = "hers" }) }
    logins.rotate(stage)
    local info = stage:user_flow():refresh_access_token("his")
    assert.equal("his", logins.sent(stage))
    assert.equal("access-1", info.access_token)
    assert.is_nil(info.note)
    assert.is_nil(info.authorized_at)
    assert.same(info, stage.stored)
  end)

  it("with another one that is dead neither returns nor removes the cached login", function()
    for _, cached in ipairs { NEWER, LOGIN } do
      local stage = stages.new { token_info = cached }
      stage.on.request = logins.dead
      expect_reauthorize(stage:user_flow():refresh_access_token("his"))
      assert.equal("his", logins.sent(stage))
      assert.equal(cached, stage.stored)
    end
  end)

  it("works while the cache cannot be read", function()
    local stage = stages.new()
    logins.rotate(stage)
    stage.on.load = logins.fail
    assert.equal("access-1", stage:user_flow():refresh_access_token("his").access_token)
  end)

  it("has nothing to renew in the implicit grant", function()
    local tokencache = require "tokencache"
    local stage = stages.new { token_info = LOGIN }
    local flow = tokencache.flow.implicit { cache = stage.handler, client_id = stages.CLIENT_ID,
      provider = { token_url = "https://login.example/token", authorize_url =
      "https://login.example/authorize" }, redirect_uri = stages.REDIRECT_URI, authorize = false,
      http = stage.transport, io = stage.io }
    expect_reauthorize(flow:refresh_access_token())
    expect_reauthorize(flow:refresh_access_token("refresh-1"))
    expect_reauthorize(flow:get_access_token())
    assert.equal(0, #stage.requests)
    assert.equal(LOGIN, stage.stored)
  end)
end)

describe("validate_token", function()
  it("does not use up a refresh token that another process has renewed", function()
    local stage = stages.new { token_info = NEWER }
    assert.equal(NEWER, stage:user_flow():validate_token(LOGIN))
    assert.equal(0, #stage.requests)
  end)

  it("renews the login, under the lock", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    logins.rotate(stage)
    assert.equal("access-1", stage:user_flow():validate_token(LOGIN).access_token)
    assert.equal("load try_lock load request save unlock", stage:acts())
  end)

  it("used up a refresh token beside a cache that could not be read", function()
    local stage = stages.new { token_info = NEWER }
    logins.rotate(stage)
    stage.on.load = logins.fail
    local info, err = stage:user_flow():validate_token(LOGIN)
    assert.is_nil(info)
    assert.equal("cache", err.kind)
    assert.equal("the disk is full", tostring(err))
    assert.equal(0, #stage.requests)
  end)

  it("leaves another login in the cache out of it", function()
    local stage = stages.new { token_info = merged(NEWER, { authorized_at = 700 }) }
    logins.rotate(stage)
    assert.equal("access-1", stage:user_flow():validate_token(LOGIN).access_token)
    assert.equal("refresh-1", logins.sent(stage))
  end)

  it("lost what was known of a login that the cache does not hold", function()
    for _, cached in ipairs { false, merged(NEWER, { authorized_at = 700, note = "hers" }) } do
      local stage = stages.new { token_info = cached or nil }
      logins.rotate(stage)
      local given = merged(LOGIN, { note = "his", nested = { list = { 1 } } })
      local info = stage:user_flow({ scope = "a" }):validate_token(given)
      assert.same({ access_token = "access-1", refresh_token = "refresh-2", expires_in = 3600,
        expires_at = 4600, scope = "a b", authorized_at = 500, client_id = stages.CLIENT_ID,
        note = "his", nested = { list = { 1 } } }, info)
      assert.same(info, stage.stored)
      assert.equal("old", given.access_token)
    end
  end)

  it("sends no refresh token that was renewed, though that could not be saved", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage)
    stage.on.save = logins.fail
    local flow = stage:user_flow()
    flow:get_access_token()
    stage.on.load = logins.fail
    assert.equal("access-1", flow:validate_token(LOGIN).access_token)
    assert.equal("refresh-1", logins.sent(stage))
  end)

  it("keeps a login that it could not save from the one in the cache", function()
    local stage = stages.new { token_info = merged(NEWER, { authorized_at = 700 }) }
    logins.rotate(stage)
    stage.on.save = logins.fail
    local flow = stage:user_flow()
    flow:validate_token(merged(LOGIN, { authorized_at = false }))
    stage.on.save = nil
    assert.equal("access-1", flow:get_access_token())
    assert.equal("refresh-2", stage.stored.refresh_token)
  end)

  it("lets a token with some seconds left do while the server is away", function()
    local stage = stages.new()
    stage.on.request = function() return nil, "no connection" end
    local given = merged(LOGIN, { expires_at = 1030 })
    assert.equal(given, stage:user_flow():validate_token(given))
    assert.matches("^warning the token could not be renewed yet", stage.logged[1])
  end)

  it("has nothing to renew without a refresh token", function()
    local stage = stages.new { token_info = NEWER }
    for _, refresh_token in ipairs { false, "" } do
      local info, err = stage:user_flow():validate_token(
        merged(LOGIN, { refresh_token = refresh_token }))
      assert.is_nil(info)
      assert.is_nil(err)
    end
    assert.equal("", stage:acts())
  end)
end)
