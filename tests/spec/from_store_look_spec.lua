-- How a flow looks at the token of a store again and again, without decoding it each time.

local from_store = require "tokencache.cache.from_store"
local json = require "tokencache.json"
local merged = require "support.merged"
local table_store = require "support.table_store"
local tokencache = require "tokencache"

describe("from_store", function()
  local store, handler

  before_each(function()
    store = table_store()
    handler = from_store(store, "ann")
  end)

  describe("peeks", function()
    it("at the same table while the bytes are the same", function()
      handler:save_token_to_cache({ access_token = "t" })
      local first = handler:peek_cached_token()
      assert.equal(first, handler:peek_cached_token())
      assert.not_equal(first, handler:get_cached_token())
    end)

    it("at what another has saved meanwhile", function()
      handler:save_token_to_cache({ access_token = "t" })
      handler:peek_cached_token()
      from_store(store, "ann"):save_token_to_cache({ access_token = "u" })
      assert.equal("u", handler:peek_cached_token().access_token)
    end)

    it("at a miss after removal, and at a failure", function()
      handler:save_token_to_cache({ access_token = "t" })
      handler:peek_cached_token()
      store.entries.ann = nil
      local info, err = handler:peek_cached_token()
      assert.is_nil(info)
      assert.is_nil(err)
      store.entries.ann = "{"
      info, err = handler:peek_cached_token()
      assert.is_nil(info)
      assert.equal("cache", err.kind)
    end)
  end)

  it("copies all fields that there are, and makes up none", function()
    local whole = { access_token = "t", token_type = "Bearer", expires_in = 60, expires_at = 2000,
      authorized_at = 1000, refresh_token = "r", scope = "a", requested_scope = "a b",
      client_id = "c" }
    for absent in pairs(whole) do
      local info = merged(whole)
      info[absent] = absent == "access_token" and "another" or nil
      store:set("ann", json.encode(info))
      for _ = 1, 2 do
        assert.same(info, handler:get_cached_token())
      end
    end
    store:set("ann", json.encode { access_token = "t" })
    for _ = 1, 2 do
      assert.same({ access_token = "t" }, handler:get_cached_token())
    end
  end)

  describe("lets a flow look", function()
    local kept, now, flow

    before_each(function()
      kept, now = tokencache.store.memory(), 1000
      flow = tokencache.flow.client_credentials {
        provider = tokencache.provider.spotify,
        client_id = "a",
        client_secret = "b",
        scope = "read",
        cache = tokencache.cache.from_store(kept, "k"),
        clock = function() return now end,
        http = { request = function() return nil, "away" end },
        timeout = 0.1,
      }
    end)

    local function keep(changes)
      local info = merged({ access_token = "kept", scope = "read", expires_at = 2000 }, changes)
      kept:set("k", json.encode(info))
    end

    it("at the same token again and again, until it expires", function()
      keep()
      for _, time in ipairs { 1000, 1500, 1940 } do
        now = time
        assert.equal("kept", flow:get_access_token())
      end
      now = 2000
      assert.is_nil(flow:get_access_token())
    end)

    it("at another token, which must serve as well", function()
      local others = { { scope = "write" }, { client_id = "b" }, { expires_at = 1000 } }
      for _, changes in ipairs(others) do
        keep()
        assert.equal("kept", flow:get_access_token())
        keep(changes)
        assert.is_nil(flow:get_access_token())
      end
    end)
  end)
end)
