-- flow:peek_access_token(): a look into the cache, and nothing else.

local cache = require("tokencache").cache
local log = require "tokencache.log"
local stages = require "support.stage"
local store = require("tokencache").store

describe("flow:peek_access_token", function()
  local stage

  local function over(token_info)
    stage = stages.new { lock = true, token_info = token_info }
    return stage:flow()
  end

  after_each(function()
    log.set_logger(nil)
  end)

  --- What it returns. All that is done for it is one look, and nobody is warned.
  local function peek(flow)
    stage:acts()
    local token, err = flow:peek_access_token()
    assert.equal("load", stage:acts())
    for _, line in ipairs(stage.logged) do
      assert.matches("^debug ", line)
    end
    return token, err
  end

  it("returns the token while it is fresh, and then nothing", function()
    local flow = over { access_token = "kept", expires_at = 2000 }
    stage.now = 1940
    assert.equal("kept", peek(flow))
    stage.now = 1941
    local token, err = peek(flow)
    assert.is_true(token == nil and err == nil)
    assert.equal("kept", stage.stored.access_token)
  end)

  it("leaves it to get_access_token to get what is missing", function()
    local flow = over(nil)
    assert.is_nil((peek(flow)))
    assert.equal("access-1", flow:get_access_token())
    assert.equal("access-1", peek(flow))
  end)

  it("returns no token of another client or without the scopes wanted", function()
    assert.is_nil((peek(over { access_token = "kept", client_id = "another" })))
    stage = stages.new { token_info = { access_token = "kept", scope = "read" } }
    assert.is_nil((peek(stage:flow { scope = "write" })))
    assert.equal("kept", peek(stage:flow { scope = "read" }))
  end)

  it("tells a failure of the cache from a miss", function()
    local flow = over(nil)
    stage.on.load = function() return nil, "away" end
    local token, err = peek(flow)
    assert.is_nil(token)
    assert.same({ "cache", "away" }, { err.kind, err.message })
    stage.on.load = function() return { access_token = 7 } end
    token, err = peek(flow)
    assert.is_nil(token)
    assert.equal("cache", err.kind)
  end)

  it("returns no older token than the one whose save is owing", function()
    local flow = over { access_token = "old", expires_at = 2000 }
    stage.on.save = function() return nil, "full" end
    assert.equal("access-1", flow:get_access_token { check_cache = false })
    assert.is_nil((flow:peek_access_token()))
    stage.on.save = nil
    assert.equal("access-1", flow:get_access_token())
    assert.equal("access-1", flow:peek_access_token())
  end)

  describe("beside account:peek_lasting", function()
    it("is for tokens that a renewal is not due for yet", function()
      local flow = over { access_token = "kept", expires_at = 2000 }
      for now, wanted in pairs { [1940] = { "kept", false }, [1941] = { "kept", true },
        [1997] = { "kept", true }, [1999] = {}, [2001] = {} } do
        stage.now = now
        local info, due = flow:peek_lasting()
        assert.same(wanted, { info and info.access_token, due })
      end
      assert.equal("", (stage:acts():gsub("load ?", "")))
    end)

    it("tells a miss, a failure, and what is not for this flow", function()
      local flow = over { access_token = "kept", expires_at = 2000, client_id = "another" }
      assert.is_nil((flow:peek_lasting()))
      stage.stored = nil
      local info, err = flow:peek_lasting()
      assert.is_true(info == nil and err == nil)
      stage.on.load = function() return nil, "away" end
      info, err = flow:peek_lasting()
      assert.same({ nil, "away" }, { info, tostring(err) })
    end)

    it("has nothing of an account that was removed, though it was seen", function()
      local shared = store.memory()
      local account = stages.new({}):flow({ store = shared, cache = false }):account "a"
      shared:set("a", '{"access_token":"kept"}')
      assert.equal("kept", account:peek_lasting().access_token)
      assert.equal("kept", account:get_access_token())
      shared:delete("a")
      assert.is_nil((account:peek_lasting()))
    end)

    it("is for what is owed to the cache, too", function()
      local flow = over { access_token = "old", expires_at = 2000 }
      stage.on.save = function() return nil, "full" end
      flow:get_access_token { check_cache = false }
      local info, due = flow:peek_lasting()
      assert.same({ "access-1", true }, { info.access_token, due })
    end)
  end)

  describe("over two tiers", function()
    local front, flow

    before_each(function()
      stage = stages.new { token_info = { access_token = "old", expires_at = 2000 } }
      local clock = function() return stage.now end
      front = cache.from_store(store.memory(), "near", { clock = clock })
      flow = stage:flow { cache = cache.tiered { front = front, back = stage.handler,
        clock = clock } }
    end)

    it("looks into the back where the front has no fresh token", function()
      assert.equal("old", peek(flow))
      assert.equal("old", flow:peek_access_token())
      assert.equal("", stage:acts())
      stage.now = 1950
      stage.stored = { access_token = "new", expires_at = 3000 }
      assert.equal("new", peek(flow))
      assert.equal("new", front:get_cached_token().access_token)
    end)

    it("looks there once where neither has one", function()
      stage.stored = nil
      assert.is_nil((peek(flow)))
      stage.on.load = function() return nil, "away" end
      assert.equal("away", select(2, peek(flow)).message)
    end)
  end)

  it("wants a flow", function()
    local tiered = stage:flow { cache = cache.tiered { front = cache.memory {},
      back = stage.handler } }
    for _, one in ipairs { over(nil), tiered } do
      local ok, message = pcall(function() one.peek_access_token() end)
      assert.is_false(ok)
      assert.matches("peek_spec.lua:%d+: peek_access_token: call it on a flow, with a colon",
        message)
    end
  end)
end)
