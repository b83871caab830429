local log = require "tokencache.log"
local merged = require "support.merged"
local stages = require "support.stage"

local SERVES = { access_token = "cached", expires_at = 2000 }
local EXPIRING = { access_token = "expiring", expires_at = 1030 }
local EXPIRED = { access_token = "expired", expires_at = 990 }

after_each(function()
  log.set_logger(nil)
end)

describe("a call", function()
  it("with a fresh token looks into the cache once", function()
    local stage = stages.new { token_info = SERVES, lock = true }
    local flow = stage:flow()
    assert.equal("cached", flow:get_access_token())
    assert.equal("load", stage:acts())
    assert.equal(SERVES, flow:get_token_info())
    assert.equal("load", stage:acts())
    assert.same({}, stage.logged)
  end)

  it("without a token gets one and saves it", function()
    local stage = stages.new()
    local flow = stage:flow { scope = "b,a" }
    assert.equal("access-1", flow:get_access_token())
    assert.equal("load request save", stage:acts())
    assert.same({ access_token = "access-1", expires_in = 3600, expires_at = 4600, scope = "a b",
      client_id = stages.CLIENT_ID }, stage.stored)
    assert.equal("access-1", flow:get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("keeps unknown members of the answer", function()
    local stage = stages.new()
    stage.on.request = function()
      return stages.answer { access_token = "t", nested = { list = { 1, 2 } }, client_id = "x",
        expires_at = "5000" }
    end
    local info = stage:flow():get_token_info()
    assert.same({ list = { 1, 2 } }, info.nested)
    assert.equal(stages.CLIENT_ID, info.client_id)
    assert.equal(5000, info.expires_at)
  end)

  it("does not save a refresh token, which it would take for a user's login", function()
    local stage = stages.new()
    stage.on.request = function()
      return stages.answer { access_token = "t", refresh_token = "unasked", expires_in = 60 * 60 }
    end
    local flow = stage:flow()
    assert.equal("t", flow:get_access_token())
    assert.is_nil(stage.stored.refresh_token)
    stage:acts()
    assert.equal("t", flow:get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("with check_cache = false gets a new token, and saves it", function()
    local stage = stages.new { token_info = SERVES }
    local flow = stage:flow()
    assert.equal("access-1", flow:get_access_token { check_cache = false })
    assert.equal("load request save", stage:acts())
    assert.equal("access-1", flow:get_access_token())
  end)

  it("with check_cache = false fails where none is to be had", function()
    local stage = stages.new { token_info = EXPIRING }
    stage.on.request = stages.refuse
    local token, err = stage:flow():get_access_token { check_cache = false }
    assert.is_nil(token)
    assert.equal("transient", err.kind)
    assert.equal(EXPIRING, stage.stored)
  end)

  it("renews a token as soon as less than the leeway is left", function()
    local stage = stages.new { token_info = merged(SERVES, { expires_at = 1060 }) }
    local flow = stage:flow()
    assert.equal("cached", flow:get_access_token())
    stage.now = 1001
    assert.equal("access-1", flow:get_access_token())
  end)
end)

describe("a token with some seconds left", function()
  it("is warned of once in a while, not at each call", function()
    local stage = stages.new { token_info = EXPIRING }
    stage.on.request = stages.refuse
    local flow = stage:flow()
    for _ = 1, 3 do
      assert.equal("expiring", flow:get_access_token())
    end
    assert.same({ "warning the token could not be renewed yet, the old one still works: "
      .. "no connection" }, stage.logged)
  end)

  it("is returned with a warning when the server is away", function()
    local stage = stages.new { token_info = EXPIRING, lock = true }
    stage.on.request = stages.refuse
    assert.equal("expiring", stage:flow():get_access_token())
    assert.same({ "warning the token could not be renewed yet, the old one still works: "
      .. "no connection" }, stage.logged)
    assert.equal("load try_lock load request sleep request sleep request unlock", stage:acts())
    assert.equal(EXPIRING, stage.stored)
  end)

  it("is returned at once when another process is renewing it", function()
    local stage = stages.new { token_info = EXPIRING, lock = true }
    stage.holder = "another process"
    assert.equal("expiring", stage:flow():get_access_token())
    assert.equal("load try_lock", stage:acts())
  end)

  it("is not sent to a server where it will have expired on arrival", function()
    local stage = stages.new { token_info = EXPIRING, lock = true }
    stage.on.request = stages.refuse
    stage.now = EXPIRING.expires_at - 10
    assert.equal("expiring", stage:flow():get_access_token())
    stage.now = EXPIRING.expires_at - 1
    assert.equal("transient", select(2, stage:flow():get_access_token()).kind)
  end)

  it("is not returned once they are over", function()
    local stage = stages.new { token_info = EXPIRED }
    stage.on.request = stages.refuse
    local token, err = stage:flow():get_access_token()
    assert.is_nil(token)
    assert.equal("transient", err.kind)
    assert.equal("no connection", tostring(err))
    assert.equal(EXPIRED, stage.stored)
  end)

  it("is not returned when the server says that something is wrong", function()
    local stage = stages.new { token_info = EXPIRING }
    stage.on.request = function()
      return stages.answer({ error = "invalid_client" }, 401)
    end
    local token, err = stage:flow():get_access_token()
    assert.is_nil(token)
    assert.equal("config", err.kind)
  end)
end)

describe("where nothing can be waited for", function()
  local REFUSAL = { kind = "config", message = "not in this phase" }

  local function new_stage(token_info)
    local stage = stages.new { token_info = token_info, lock = true }
    stage.io.refusal = function() return REFUSAL end
    stage.on.sleep = function() return nil, REFUSAL end
    return stage
  end

  it("the seconds left of a token do", function()
    local stage = new_stage(EXPIRING)
    assert.equal("expiring", stage:flow():get_access_token())
    assert.equal("load", stage:acts())
  end)

  it("a token with none left is asked for, which the transport may refuse", function()
    local stage = new_stage(EXPIRED)
    stage.on.request = function() return nil, REFUSAL end
    local token, err = stage:flow():get_access_token()
    assert.is_nil(token)
    assert.same({ "config", "not in this phase" }, { err.kind, err.message })
    assert.equal("load try_lock load request unlock", stage:acts())
  end)

  it("a busy lock is an error", function()
    local stage = new_stage(EXPIRED)
    stage.holder = {}
    local token, err = stage:flow():get_access_token()
    assert.is_nil(token)
    assert.same({ "config", "not in this phase" }, { err.kind, err.message })
    assert.equal("load try_lock sleep", stage:acts())
  end)

  it("a request is not repeated", function()
    local stage = new_stage(EXPIRED)
    stage.on.request = stages.refuse
    local _, err = stage:flow():get_access_token()
    assert.same({ "transient", "no connection" }, { err.kind, err.message })
    assert.equal("load try_lock load request sleep unlock", stage:acts())
  end)
end)

describe("a cache that cannot be read", function()
  local function expect_new_token(stage, why)
    assert.equal("access-1", stage:flow():get_access_token())
    assert.equal("load request save", stage:acts())
    assert.same({ "warning the cache could not be read: " .. why }, stage.logged)
    assert.equal("access-1", stage.stored.access_token)
  end

  it("is warned of, and a new token is got", function()
    local stage = stages.new()
    stage.on.load = function() return nil, "the disk is on fire" end
    expect_new_token(stage, "the disk is on fire")
  end)

  it("is warned of once in a while, not at each look", function()
    local stage = stages.new { lock = true }
    stage.on.load = function() return nil, "the disk is on fire" end
    local flow = stage:user_flow()
    for _ = 1, 3 do
      local _, err = flow:get_access_token()
      assert.equal("cache", err.kind)
    end
    assert.same({ "warning the cache could not be read: the disk is on fire" }, stage.logged)
  end)

  local garbage = {
    ["a string"] = "token", ["a number"] = 7, ["true"] = true, ["false"] = false,
    ["an empty table"] = {}, ["a table with another access_token"] = { access_token = {} },
  }
  for what, value in pairs(garbage) do
    it("so is one that returns " .. what, function()
      local stage = stages.new()
      stage.on.load = function() return value end
      expect_new_token(stage, "get_cached_token must return a table with an access_token, or nil; "
        .. "mend the handler or empty the cache")
    end)
  end

  it("so is one whose access token would end a header and begin another", function()
    for _, method in ipairs { "get_access_token", "get_token_info", "peek_access_token" } do
      local stage = stages.new { token_info = { access_token = "a\r\nX: y", expires_at = 9000 } }
      local flow = stage:user_flow()
      local token, err = flow[method](flow)
      assert.is_nil(token)
      assert.equal("cache get_cached_token returned an access_token with a control character; "
        .. "mend the handler or empty the cache", err.kind .. " " .. tostring(err))
      stage.handler.peek_cached_token = stage.handler.get_cached_token
      assert.is_nil((flow[method](flow)))
    end
  end)

  it("lets through what the handler raises", function()
    local stage = stages.new()
    stage.on.load = function() error("a bug", 0) end
    local flow = stage:flow()
    assert.has_error(function() flow:get_access_token() end, "a bug")
  end)

  it("keeps other handlers' error tables as they are", function()
    local stage = stages.new()
    local meta = { __tostring = function() return "down since noon" end }
    local err = setmetatable({ kind = "SocketError" }, meta)
    stage.on.load = function() return nil, err end
    expect_new_token(stage, "down since noon")
    assert.equal(meta, getmetatable(err))
    assert.equal("SocketError", err.kind)
  end)
end)

describe("a save that fails", function()
  local failures = {
    ["nil and an error"] = { function() return nil, "the disk is full" end, "the disk is full" },
    ["an error table"] = {
      function() return nil, { kind = "cache", message = "the disk is full" } end,
      "the disk is full",
    },
    ["false"] = { function() return false end, "save_token_to_cache returned false" },
  }
  for what, failure in pairs(failures) do
    it("with " .. what .. " is logged, the token returned, and saved at the next call", function()
      local stage = stages.new()
      local flow = stage:flow()
      stage.on.save = failure[1]
      assert.equal("access-1", flow:get_access_token())
      assert.equal("load request save", stage:acts())
      assert.same({ "error the token could not be saved; it is kept in memory, and the save is "
        .. "tried again: " .. failure[2] }, stage.logged)
      stage.on.save = nil
      assert.equal("access-1", flow:get_access_token())
      assert.equal("load save", stage:acts())
      assert.equal("access-1", stage.stored.access_token)
      assert.equal("access-1", flow:get_access_token())
      assert.equal("load", stage:acts())
    end)
  end

  it("is none where the handler returns true, whatever else it returns", function()
    local stage = stages.new()
    local flow = stage:flow()
    stage.on.save = function() return true, "OK" end
    assert.equal("access-1", flow:get_access_token())
    assert.same({}, stage.logged)
  end)

  it("by raising keeps the token for the next call", function()
    local stage = stages.new { lock = true }
    local flow = stage:flow()
    stage.on.save = function() error("a bug", 0) end
    assert.has_error(function() flow:get_access_token() end, "a bug")
    stage.on.save, stage.holder = nil, nil -- the lock's ttl is over
    stage:acts()
    assert.equal("access-1", flow:get_access_token())
    assert.equal("try_lock load save unlock", stage:acts())
    assert.equal(1, #stage.requests)
  end)

  it("again and again costs no request as long as the token serves", function()
    local stage = stages.new()
    local flow = stage:flow()
    stage.on.save = function() return false end
    for _ = 1, 3 do
      assert.equal("access-1", flow:get_access_token())
    end
    assert.equal("load request save load save load save", stage:acts())
    assert.equal(1, #stage.logged) -- what repeats is said once a minute
    stage.now = 5000
    assert.equal("access-2", flow:get_access_token())
    stage.on.save = nil
    assert.equal("access-2", flow:get_token_info().access_token)
    assert.equal("access-2", stage.stored.access_token)
  end)

  it("is forgotten when the cache holds a newer token by then", function()
    local stage = stages.new()
    local flow = stage:flow()
    stage.on.save = function() return false end
    assert.equal("access-1", flow:get_access_token())
    stage.stored = merged(SERVES, { expires_at = 9000 })
    stage:acts()
    assert.equal("cached", flow:get_access_token())
    assert.equal("load", stage:acts())
    stage.stored = nil
    assert.equal("access-2", flow:get_access_token())
  end)
end)

describe("the lock", function()
  it("is taken before the request, and the cache read again under it", function()
    local stage = stages.new { lock = true }
    assert.equal("access-1", stage:flow():get_access_token())
    assert.equal("load try_lock load request save unlock", stage:acts())
    assert.is_nil(stage.holder)
  end)

  it("spares the request where another has renewed the token meanwhile", function()
    local stage = stages.new { lock = true, token_info = EXPIRED }
    stage:before_lock(function() stage.stored = SERVES end)
    assert.equal("cached", stage:flow():get_access_token())
    assert.equal("load try_lock load unlock", stage:acts())
  end)

  it("lasts for the call's time and five seconds", function()
    local stage = stages.new { lock = true }
    stage:flow({ timeout = 7 }):get_access_token()
    stage.stored = nil
    stage:flow():get_access_token { timeout = 2 }
    assert.same({ 12, 7 }, stage.ttls)
  end)

  it("when busy is waited for, and the other's token is used", function()
    local stage = stages.new { lock = true }
    stage.holder = "another"
    stage.on.sleep = function()
      if #stage.slept == 3 then
        stage.stored = SERVES
      end
    end
    assert.equal("cached", stage:flow():get_access_token())
    assert.equal("load try_lock sleep load try_lock sleep load try_lock sleep load", stage:acts())
    assert.is_true(stage.slept[1] > 0 and stage.slept[1] < stage.slept[2])
  end)

  it("when busy to the end is a timeout", function()
    local stage = stages.new { lock = true }
    stage.holder = "another"
    local token, err = stage:flow():get_access_token { timeout = 3 }
    assert.is_nil(token)
    assert.equal("timeout", err.kind)
    assert.is_true(math.abs(stage.monotonic - 53) < 1e-6)
    assert.equal(0, #stage.requests)
  end)

  it("when it fails is done without, with a warning", function()
    local stage = stages.new { lock = true }
    stage.on.try_lock = function() return nil, "no lock server" end
    assert.equal("access-1", stage:flow():get_access_token())
    assert.equal("load try_lock request save", stage:acts())
    assert.same({ "warning the cache's lock failed, going on without it: no lock server" },
      stage.logged)
  end)

  it("when its release fails costs a warning only", function()
    local stage = stages.new { lock = true }
    stage.on.unlock = function() return nil, "no lock server" end
    assert.equal("access-1", stage:flow():get_access_token())
    assert.same({ "warning the cache's lock could not be released: no lock server" },
      stage.logged)
  end)

  local failures = {
    ["the request"] = { request = function() return nil, "broken" end },
    ["the server"] = { request = function() return stages.answer({ error = "nope" }, 400) end },
    ["the save"] = { save = function() return false end },
    ["the second look"] = { load = function() return nil, "broken" end },
  }
  for what, on in pairs(failures) do
    it("is released after " .. what .. " has failed", function()
      local stage = stages.new { lock = true }
      stage.on = on
      stage:flow():get_access_token()
      assert.matches(" unlock$", stage:acts())
      assert.is_nil(stage.holder)
    end)
  end
end)
