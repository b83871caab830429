-- What says nothing is no token, and no failure: in every store.

local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local new_table_store = require "support.table_store"
local tokencache = require "tokencache"

local dir
setup(function() dir = folder.new() end)
teardown(function() dir:remove() end)

local stores = {
  ["store.memory"] = function() return tokencache.store.memory() end,
  ["store.file"] = function() return tokencache.store.file { directory = dir.path } end,
  ["a store with get and set"] = new_table_store,
  ["store.encrypted"] = function()
    local within = tokencache.store.memory()
    return tokencache.store.encrypted(within, { keys = { a = ("a"):rep(32) }, use = "a" }), within
  end,
}

for name, new_store in pairs(stores) do
  describe("an entry that says nothing, in " .. name, function()
    it("is a miss with a warning, and gives way to a token", function()
      finally(log.set_logger)
      for _, nothing in ipairs { "", "  \n", "\0\0" } do
        local store, within = new_store();
        (within or store):set("key", nothing)
        local logged = keep_log()
        local cache = tokencache.cache.from_store(store, "key")
        local info, err, entry = cache:get_cached_token()
        assert.is_nil(info)
        assert.is_nil(err)
        assert.equal(nothing, entry)
        assert.same({ "warning key: the entry is empty, which counts as no token" }, logged)
        assert.is_true(cache:replace_cached_token(entry, { access_token = "t" }))
        assert.equal("t", cache:get_cached_token().access_token)
      end
    end)
  end)
end
