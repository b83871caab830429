-- Refresh where the server fails: a dead refresh token is the end of a login, nothing else is.

local from_store = require "tokencache.cache.from_store"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local stages = require "support.stage"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

local LOGIN, NEWER = logins.LOGIN, logins.NEWER
local expect_reauthorize = logins.expect_reauthorize

after_each(function()
  log.set_logger(nil)
end)

describe("a refresh token that the server calls dead", function()
  local function dying(settings, options)
    local stage = stages.new(merged({ token_info = LOGIN }, settings))
    stage.on.request = logins.dead
    return stage, stage:user_flow(options)
  end

  it("is removed after one request, and is an error of its own kind", function()
    local stage, flow = dying { lock = true }
    local token, err = flow:get_access_token()
    expect_reauthorize(token, err)
    assert.equal("invalid_grant", err.code)
    assert.equal("revoked", err.description)
    assert.equal("load try_lock load request sleep load remove unlock", stage:acts())
    assert.is_nil(stage.stored)
    expect_reauthorize(flow:get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("makes the next call ask for a login, not this one", function()
    local asked = 0
    local stage, flow = dying(nil, { state = "the-state", authorize = function()
      asked = asked + 1
      return stages.REDIRECT_URI .. "?code=the-code&state=the-state"
    end })
    expect_reauthorize(flow:get_access_token())
    assert.equal(0, asked)
    logins.rotate(stage)
    assert.equal("access-1", flow:get_access_token())
    assert.equal(1, asked)
    assert.equal(1000, stage.stored.authorized_at)
  end)

  it("is not removed, and the newer one used, where another process has replaced it", function()
    local stage = stages.new { token_info = LOGIN }
    stage.on.request = function()
      stage.stored = NEWER
      return logins.dead()
    end
    local token, err = stage:user_flow():get_access_token()
    assert.equal("newer", token)
    assert.is_nil(err)
    assert.equal("load request sleep load", stage:acts())
    assert.equal(NEWER, stage.stored)
  end)

  it("is not removed before another, who may heed no lock, has had time to save the newer one",
    function()
      for acts, lock in pairs { ["load request sleep load"] = false,
        ["load try_lock load request sleep load unlock"] = true } do
        local stage = stages.new { token_info = LOGIN, lock = lock }
        stage.on.request = logins.dead
        stage.on.sleep = function() stage.stored = NEWER end
        assert.equal("newer", stage:user_flow():get_access_token())
        assert.equal(acts, stage:acts())
        assert.same({ 0.5 }, stage.slept)
        assert.equal(NEWER, stage.stored)
      end
    end)

  it("is not removed where another login is saved right after the last look", function()
    local handler_of = {
      ["a store"] = function() return from_store(tokencache.store.memory(), "ann") end,
      ["a store of the user's"] = function() return from_store(table_store(), "ann") end,
      ["two tiers"] = function()
        return tokencache.cache.tiered { front = tokencache.cache.memory(),
          back = from_store(tokencache.store.memory(), "ann") }
      end,
      ["memory"] = tokencache.cache.memory,
    }
    for kind, make in pairs(handler_of) do
      for _, comes in ipairs { true, false } do
        local stage, handler = stages.new(), make()
        handler:save_token_to_cache(LOGIN)
        local removed_as
        stage.handler = setmetatable({
          remove_cached_token = function(_, ...)
            removed_as = select("#", ...)
            if comes then
              handler:save_token_to_cache(NEWER)
            end
            return handler:remove_cached_token(...)
          end,
        }, { __index = function(_, name)
          local value = handler[name]
          return type(value) == "function" and function(_, ...) return value(handler, ...) end
            or value
        end })
        stage.on.request = logins.dead
        expect_reauthorize(stage:user_flow():get_access_token())
        assert.equal(2, removed_as, kind)
        assert.same({}, stage.logged)
        local left = handler:get_cached_token(true)
        assert.equal(comes and "newer" or nil, left and left.access_token, kind)
      end
    end
  end)

  it("is removed at once where one may not sleep", function()
    local stage, flow = dying()
    stage.on.sleep = function() return nil, "not here" end
    expect_reauthorize(flow:get_access_token())
    assert.equal("load request sleep load remove", stage:acts())
  end)

  it("is followed by the newer one where that has expired too", function()
    local stage = stages.new { token_info = LOGIN }
    stage.on.request = function()
      stage.stored = merged(NEWER, { expires_at = 999 })
      logins.rotate(stage)
      return logins.dead()
    end
    assert.equal("access-1", stage:user_flow():get_access_token())
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    assert.equal("load request sleep load request save", stage:acts())
  end)

  it("is not chased for ever", function()
    local stage = stages.new { token_info = LOGIN }
    local count = 1
    stage.on.request = function()
      count = count + 1
      stage.stored = merged(LOGIN, { refresh_token = "refresh-" .. count })
      return logins.dead()
    end
    expect_reauthorize(stage:user_flow():get_access_token())
    assert.equal("refresh-1 refresh-2 refresh-3", logins.sent(stage))
    assert.equal("refresh-4", stage.stored.refresh_token)
  end)

  it("is remembered beside another, where a cache brings back one and the other", function()
    local stage = stages.new { token_info = LOGIN }
    stage.on.request = logins.dead
    local flow = stage:user_flow()
    for _, refresh_token in ipairs { "refresh-1", "refresh-2", "refresh-1", "refresh-2" } do
      stage.stored = merged(LOGIN, { refresh_token = refresh_token })
      expect_reauthorize(flow:get_access_token())
    end
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
  end)

  it("stays, at one request a call, under on_invalid_grant = keep", function()
    local stage, flow = dying({ lock = true }, { on_invalid_grant = "keep" })
    expect_reauthorize(flow:get_access_token())
    assert.equal("load try_lock load request sleep load unlock", stage:acts())
    expect_reauthorize(flow:get_access_token())
    assert.equal(2, #stage.requests)
    assert.equal(LOGIN, stage.stored)
    logins.rotate(stage)
    assert.equal("access-1", flow:get_access_token())
  end)

  it("is cut out of the entry of a handler that can only save", function()
    local stage, flow = dying()
    stage.handler.remove_cached_token = nil
    expect_reauthorize(flow:get_access_token())
    assert.same({ access_token = "old", expires_at = 0, scope = "a b",
      client_id = stages.CLIENT_ID }, stage.stored)
    assert.equal("refresh-1", LOGIN.refresh_token)
    expect_reauthorize(flow:get_access_token())
    assert.equal("refresh-1", logins.sent(stage))
    assert.is_nil(flow:reauthorization_due_in())
  end)

  it("that cannot be removed costs a warning", function()
    local stage, flow = dying()
    stage.on.remove = function() return nil, "read-only" end
    expect_reauthorize(flow:get_access_token())
    assert.same({ "warning the dead token could not be removed from the cache: read-only" },
      stage.logged)
  end)

  it("is not removed where the cache cannot be read again", function()
    local stage, flow = dying()
    stage.on.request = function()
      stage.on.load = logins.fail
      return logins.dead()
    end
    expect_reauthorize(flow:get_access_token())
    assert.equal("load request sleep load", stage:acts())
    assert.equal(LOGIN, stage.stored)
  end)

  it("is remembered, whatever the status it is said with", function()
    for _, status in ipairs { 200, 400, 401 } do
      local stage, flow = dying { lock = true }
      stage.on.request = function()
        stage.on.load = logins.fail
        return stages.answer({ error = "invalid_grant" }, status)
      end
      expect_reauthorize(flow:get_access_token())
      stage.on.load = nil
      expect_reauthorize(flow:get_access_token())
      assert.equal(1, #stage.requests, status)
    end
  end)

  it("is not believed of a server in trouble", function()
    for _, status in ipairs { 429, 500, 502, 503 } do
      local stage, flow = dying()
      stage.on.request = function() return stages.answer({ error = "invalid_grant" }, status) end
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("transient", err.kind)
      assert.equal(LOGIN, stage.stored)
    end
  end)
end)

describe("a server away", function()
  local faults = {
    ["with no connection"] = stages.refuse,
    ["with a broken connection"] = function() return nil, "reset" end,
    ["with a timeout"] = function() return nil, { kind = "timeout", message = "slow" } end,
    ["with status 500"] = function() return stages.answer({}, 500) end,
    ["with status 502"] = function() return { status = 502, body = "<html>" } end,
    ["with status 503"] = function() return stages.answer({}, 503) end,
    ["with status 429"] = function() return stages.answer({}, 429) end,
    ["with server_error"] = function() return stages.answer({ error = "server_error" }, 400) end,
  }
  for what, fault in pairs(faults) do
    it(what .. " costs no token", function()
      local stage = stages.new { token_info = LOGIN, lock = true }
      stage.on.request = fault
      local flow = stage:user_flow()
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal(what == "with a timeout" and "timeout" or "transient", err.kind)
      assert.equal(LOGIN, stage.stored)
      assert.not_matches("save", stage:acts())
      logins.rotate(stage)
      assert.equal("access-1", flow:get_access_token())
    end)

    it(what .. " does not matter in the token's last minute", function()
      local stage = stages.new { token_info = merged(LOGIN, { expires_at = 1030 }) }
      stage.on.request = fault
      assert.equal("old", stage:user_flow():get_access_token())
      assert.equal(1, #stage.logged)
      assert.matches("^warning the token could not be renewed yet, the old one still works: ",
        stage.logged[1])
    end)
  end

  it("in another way costs no token either", function()
    for _, answer in ipairs {
      stages.answer({ error = "invalid_client" }, 401), stages.answer({}, 302),
      stages.answer({}, 404), { status = 200, body = "<html>" }, { status = 200, body = "[]" },
      stages.answer { token_type = "Bearer" }, stages.answer { error = "who_knows" },
    } do
      local stage = stages.new { token_info = LOGIN }
      stage.on.request = function() return answer end
      local token, err = stage:user_flow():get_access_token()
      assert.is_nil(token)
      assert.not_equal("reauthorize", err.kind)
      assert.equal(LOGIN, stage.stored)
      assert.equal(1, #stage.requests)
    end
  end)

  it("is not said to have answered where a spent token was not sent", function()
    local stage = stages.new { token_info = logins.LOGIN }
    logins.rotate(stage)
    local flow = stage:user_flow()
    flow:get_access_token()
    local token, err = flow:refresh_access_token "refresh-1"
    assert.is_nil(token)
    assert.equal("reauthorize invalid_grant", err.kind .. " " .. err.code)
    assert.matches("the refresh token is spent or dead, so it was not sent", tostring(err))
    assert.equal(1, #stage.requests)
  end)
end)
