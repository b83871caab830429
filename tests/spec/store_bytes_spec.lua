local tokencache = require "tokencache"

local store = tokencache.store

describe("a store", function()
  it("refuses to keep what is no string, and blames the caller", function()
    local stores = {
      memory = store.memory(),
      file = store.file { directory = "/nonexistent" },
      redis = store.redis { port = 1 },
      memcached = store.memcached { servers = { "127.0.0.1:1" } },
      secret_service = store.secret_service(),
      encrypted = store.encrypted(store.memory(), { keys = { a = ("k"):rep(32) }, use = "a" }),
    }
    for name, one in pairs(stores) do
      for _, mistake in ipairs { { nil, "nil" }, { {}, "a table" }, { 17, "a number" },
        { false, "a boolean" } } do
        local ok, message = pcall(function() one:set("a", mistake[1], 10) end)
        assert.is_false(ok)
        assert.matches("store_bytes_spec.lua:%d+: store." .. name .. ": set: bytes must be a "
          .. "string, not " .. mistake[2] .. "$", message)
      end
    end
    assert.is_nil((stores.memory:get("a")))
  end)
end)
