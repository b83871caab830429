-- Refresh: what is kept of a login, and when it is saved. Cache, server and clock are played.

local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local threads = require "support.threads"

local LOGIN, NEWER = logins.LOGIN, logins.NEWER
local expect_reauthorize = logins.expect_reauthorize

local function answers(body)
  return function() return { status = 200, headers = {}, body = body } end
end

after_each(function()
  log.set_logger(nil)
end)

describe("a refresh", function()
  it("is one request, by the refresh token and the client's secret", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage)
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal("load request save", stage:acts())
    assert.equal("refresh-1", logins.sent(stage))
    assert.matches("^Basic ", stage.requests[1].headers.Authorization)
    assert.same({}, stage.logged)
  end)

  for why, case in pairs {
    ["there is no login to renew"] = {},
    ["the cached login is that of another client_id"] = { token = { client_id = "theirs" } },
    ["the cached login has not all the scopes that are asked for"] =
      { token = { scope = "read" }, scope = "read write" },
    ["the cached token came without a refresh_token"] = { token = { refresh_token = "" } },
  } do
    it("that cannot be is refused with the reason: " .. why, function()
      local stage = stages.new { token_info = case.token and merged(LOGIN, case.token) }
      local token, err = stage:user_flow({ scope = case.scope }):get_access_token()
      expect_reauthorize(token, err)
      assert.equal(why .. "; the user must log in", tostring(err))
    end)
  end

  it("is not due while the token serves", function()
    local stage = stages.new { token_info = NEWER, lock = true }
    assert.equal("newer", stage:user_flow():get_access_token())
    assert.equal("load", stage:acts())
  end)

  for what, member in pairs {
    ["no refresh_token"] = '', ["an empty one"] = ', "refresh_token": ""',
    ["a null one"] = ', "refresh_token": null', ["nonsense for one"] = ', "refresh_token": [1]',
  } do
    it("that answers " .. what .. " keeps the old one", function()
      local stage = stages.new { token_info = LOGIN }
      stage.on.request = answers('{"access_token": "new", "expires_in": 3600' .. member .. '}')
      assert.equal("new", stage:user_flow():get_access_token())
      assert.equal("refresh-1", stage.stored.refresh_token)
      stage.now = 9000
      assert.equal("new", stage:user_flow():get_access_token())
      assert.equal("refresh-1 refresh-1", logins.sent(stage))
    end)
  end

  it("has saved the rotated one before the access token is returned", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    logins.rotate(stage)
    local saved
    stage.on.save = function(info)
      assert.is_nil(saved)
      saved = info
      return true
    end
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal("refresh-2", saved.refresh_token)
    assert.equal("load try_lock load request save unlock", stage:acts())
  end)

  it("keeps what it does not know, and what the answer does not say again", function()
    local stage = stages.new { token_info = merged(LOGIN, { nested = { list = { 1 } },
      note = "mine", level = 1 }) }
    logins.rotate(stage, { level = 2, more = "news" })
    local info = stage:user_flow():get_token_info()
    assert.same({ access_token = "access-1", refresh_token = "refresh-2", expires_in = 3600,
      expires_at = 4600, scope = "a b", authorized_at = 500, client_id = stages.CLIENT_ID,
      nested = { list = { 1 } }, note = "mine", level = 2, more = "news" }, info)
    assert.same(info, stage.stored)
  end)

  it("takes nothing that is ours to know from the server", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage, { authorized_at = 7, expires_at = 8, client_id = "another",
      requested_scope = "z" })
    local info = stage:user_flow():get_token_info()
    assert.equal(500, info.authorized_at)
    assert.equal(4600, info.expires_at)
    assert.equal(stages.CLIENT_ID, info.client_id)
    assert.is_nil(info.requested_scope)
  end)

  it("stores the granted scope, and does not ask again for what was cut from it", function()
    local stage = stages.new { token_info = LOGIN }
    logins.rotate(stage, { scope = "a" })
    local flow = stage:user_flow { scope = "a b" }
    assert.equal("access-1", flow:get_access_token())
    assert.equal("a", stage.stored.scope)
    assert.equal("access-1", flow:get_access_token())
    assert.equal(1, #stage.requests)
  end)

  it("reads a token that the reference wrote, and notes whose it is", function()
    local stage = stages.new { token_info = { access_token = "old", refresh_token = "refresh-1",
      expires_at = 990, expires_in = 3600, token_type = "Bearer" } }
    logins.rotate(stage)
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal(stages.CLIENT_ID, stage.stored.client_id)
    assert.is_nil(stage.stored.authorized_at)
  end)

  it("does not lose a rotated refresh token over a lifetime that makes no sense", function()
    for _, lifetime in ipairs { '"soon"', "-1", "[]", "true" } do
      local stage = stages.new { token_info = LOGIN }
      stage.on.request = answers('{"access_token": "new", "refresh_token": "refresh-2", '
        .. '"expires_in": ' .. lifetime .. '}')
      assert.equal("new", stage:user_flow():get_access_token())
      assert.equal("refresh-2", stage.stored.refresh_token)
      assert.equal(1000, stage.stored.expires_at)
    end
  end)

  it("waits for the one that another process has begun, and uses its token", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    stage.holder = "another"
    stage.on.sleep = function() stage.stored = NEWER end
    assert.equal("newer", stage:user_flow():get_access_token())
    assert.equal("load try_lock sleep load", stage:acts())
  end)

  it("uses the refresh token that came while the lock was taken", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    logins.rotate(stage)
    stage:before_lock(function() stage.stored = merged(NEWER, { expires_at = 995 }) end)
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal("refresh-2", logins.sent(stage))
  end)

  it("is off where another process has found the login dead and removed it", function()
    local stage = stages.new { token_info = LOGIN, lock = true }
    stage:before_lock(function() stage.stored = nil end)
    local asked = 0
    expect_reauthorize(stage:user_flow({ authorize = function() asked = asked + 1 end })
      :get_access_token())
    assert.equal("load try_lock load unlock", stage:acts())
    assert.equal(0, asked)
  end)
end)

describe("coroutines that share a login", function()
  it("with a lock use each refresh token once, whatever logins.fail to be saved", function()
    for seed = 1, 20 do
      local stage = stages.new { token_info = LOGIN, lock = true }
      stage.yields = true
      local current, chance = 1, threads.random_numbers(seed)
      stage.on.request = function(request)
        assert.equal("refresh-" .. current, request.body:match("refresh%-%d+"), "seed " .. seed)
        current = current + 1
        return stages.answer { access_token = "access-" .. current, expires_in = 3600,
          refresh_token = "refresh-" .. current }
      end
      stage.on.save = function(info)
        if chance(3) == 1 then return logins.fail() end
        stage.stored = info
        return true
      end
      local flow, all, done = stage:user_flow(), {}, 0
      for i = 1, 6 do
        all[i] = coroutine.create(function()
          for _ = 1, 3 do
            assert.matches("^access%-%d+$", (assert(flow:get_access_token())))
            stage.now = stage.now + 4000
            done = done + 1
          end
        end)
      end
      threads.interleave(all, chance)
      assert.equal(18, done)
    end
  end)

  it("lost it without a lock to the one that found the old refresh token dead", function()
    for seed = 1, 200 do
      local stage = stages.new { token_info = LOGIN }
      local flow, spent = stage:user_flow(), {}
      stage.yields = true
      stage.on.request = function(request)
        local refresh_token = request.body:match("refresh%-%d+")
        if spent[refresh_token] then return logins.dead() end
        spent[refresh_token] = true
        return stages.answer { access_token = "access-1", refresh_token = "refresh-2",
          expires_in = 3600 }
      end
      local function call()
        flow:get_access_token()
      end
      threads.interleave({ coroutine.create(call), coroutine.create(call) },
        threads.random_numbers(seed))
      stage.yields = false
      assert.equal("access-1", flow:get_access_token(), "seed " .. seed)
      assert.equal("refresh-2", stage.stored.refresh_token)
    end
  end)
end)
