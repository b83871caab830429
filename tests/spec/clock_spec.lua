-- A clock that was put back: nobody knows the end of a token that it dated.

local log = require "tokencache.log"
local stages = require "support.stage"
local tokencache = require "tokencache"

local DAY = 86400

local caches = {
  memory = function() return tokencache.cache.memory {} end,
  ["from_store over memory"] = function()
    return tokencache.cache.from_store(tokencache.store.memory {}, "a key")
  end,
  tiered = function()
    return tokencache.cache.tiered { front = tokencache.cache.memory {},
      back = tokencache.cache.memory {} }
  end,
}

after_each(function()
  log.set_logger(nil)
end)

for name, new in pairs(caches) do
  describe("a token that was received while the clock was a month ahead: " .. name, function()
    local stage, flow

    before_each(function()
      stage = stages.new()
      stage.now = 30 * DAY
      flow = stage:flow { cache = new() }
      assert.equal("access-1", flow:get_access_token())
      assert.equal("access-1", flow:get_access_token())
    end)

    it("is renewed once that is corrected", function()
      stage.now = 0
      assert.is_nil(flow:peek_access_token())
      assert.equal("access-2", flow:get_access_token())
      assert.equal(3600, flow:get_token_info().expires_at)
      assert.equal("access-2", flow:peek_access_token())
    end)

    it("serves on over a correction by some minutes", function()
      stage.now = stage.now - 300
      assert.equal("access-1", flow:get_access_token())
      stage.now = stage.now - 1
      assert.equal("access-2", flow:get_access_token())
    end)
  end)
end

describe("a token that has longer to live than its server said", function()
  it("is renewed over memory on the system's clock, too", function()
    local stage = stages.new()
    local flow = stage:flow { io = {}, cache = tokencache.cache.memory { token_info = {
      access_token = "old", expires_in = 3600, expires_at = os.time() + DAY } } }
    assert.equal("access-1", flow:get_access_token())
  end)

  it("serves where the server did not say", function()
    local stage = stages.new()
    local flow = stage:flow { io = {}, cache = tokencache.cache.memory { token_info = {
      access_token = "old", expires_at = os.time() + DAY } } }
    assert.equal("old", flow:get_access_token())
  end)
end)
