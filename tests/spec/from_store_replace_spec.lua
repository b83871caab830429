-- What a handler over a store knows about the entry that it read: saving over it and nothing else,
-- the mark beside it, and the name of its account.

local cache = require("tokencache").cache
local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local json = require "tokencache.json"
local stores = require("tokencache").store
local table_store = require "support.table_store"

local NOW = 1760000000

describe("from_store", function()
  local store, handler, now

  local function clock()
    return now
  end

  local function over(other, opts)
    store = other
    handler = from_store(store, "ann", opts or { clock = clock })
  end

  before_each(function()
    now = NOW
    over(stores.memory())
  end)

  local function token(name, fields)
    local info = { access_token = name, expires_at = NOW + 3600 }
    for field, value in pairs(fields or {}) do
      info[field] = value
    end
    return info
  end

  local function current()
    local info = handler:get_cached_token(true)
    return info and info.access_token
  end

  describe("returns the bytes that were read", function()
    it("with a token, however it is looked for", function()
      store:set("ann", '{"access_token":"t"}')
      for _ = 1, 2 do
        for _, method in ipairs { "get_cached_token", "peek_cached_token" } do
          local info, err, entry = handler[method](handler)
          assert.equal("t", info.access_token)
          assert.is_nil(err)
          assert.equal('{"access_token":"t"}', entry)
        end
      end
    end)

    it("with the error where they are no token, and none with a miss or a failure", function()
      store:set("ann", "{")
      local info, err, entry = handler:get_cached_token()
      assert.is_nil(info)
      assert.equal("cache", err.kind)
      assert.equal("{", entry)
      store:delete("ann")
      assert.is_nil((select(3, handler:get_cached_token())))
      store.get = function() return nil, "away" end
      assert.is_nil((select(3, handler:get_cached_token())))
    end)

    it("padded with blanks too, which tokens are read without", function()
      local padded = '{"access_token":"t"}' .. (" "):rep(1024)
      store:set("ann", padded)
      local info, _, entry = handler:get_cached_token()
      assert.same({ access_token = "t" }, info)
      assert.equal(padded, entry)
      assert.is_true(handler:replace_cached_token(padded, token "u"))
      assert.equal("u", current())
    end)
  end)

  it("asks the store anew only where that may have an old copy", function()
    local asked = {}
    local function look(_, _, ...)
      asked[#asked + 1] = select("#", ...) == 0 and "none" or tostring((...))
      return '{"access_token":"t"}'
    end
    for _, may_be_stale in ipairs { false, true } do
      over { get = look, set = function() end, may_be_stale = may_be_stale or nil }
      assert.equal(may_be_stale or nil, handler.may_be_stale)
      handler:get_cached_token()
      handler:get_cached_token(true)
      handler:peek_cached_token(true)
    end
    assert.same({ "none", "none", "none", "none", "true", "true" }, asked)
  end)

  local kinds = {
    ["a store with replace"] = stores.memory,
    ["a store without replace"] = table_store,
  }

  for kind, new_store in pairs(kinds) do
    describe("over " .. kind .. " replaces", function()
      before_each(function()
        over(new_store())
        assert.equal(kind == "a store with replace", not handler.replaces_in_two_steps)
      end)

      it("what was read, by that and nothing else", function()
        handler:save_token_to_cache(token "a")
        local _, _, first = handler:get_cached_token()
        assert.is_true(handler:replace_cached_token(first, token "b"))
        assert.equal("b", current())
        assert.same({ false }, { handler:replace_cached_token(first, token "c") })
        assert.equal("b", current())
      end)

      it("nothing by something only where nothing is", function()
        assert.is_true(handler:replace_cached_token(nil, token "a"))
        assert.same({ false }, { handler:replace_cached_token(nil, token "b") })
        assert.equal("a", current())
      end)

      it("nothing that was removed, and says that it is gone", function()
        handler:save_token_to_cache(token "a")
        local _, _, entry = handler:get_cached_token()
        handler:remove_cached_token()
        assert.same({ false, "gone" }, { handler:replace_cached_token(entry, token "b") })
        assert.is_nil(current())
      end)

      it("nothing where it removes what was read, and another is there", function()
        handler:save_token_to_cache(token "a")
        local _, _, entry = handler:get_cached_token()
        handler:save_token_to_cache(token "b")
        assert.is_true(handler:remove_cached_token(entry))
        assert.equal("b", current())
        _, _, entry = handler:get_cached_token()
        assert.is_true(handler:remove_cached_token(entry))
        assert.is_nil(current())
        assert.is_true(handler:remove_cached_token(entry))
        handler:save_token_to_cache(token "c")
        assert.is_true(handler:remove_cached_token())
        assert.is_nil(current())
      end)

      it("as a save does", function()
        local ttl
        local set, replace = store.set, store.replace
        function store.set(self, key, bytes, seconds)
          ttl = seconds
          return set(self, key, bytes, seconds)
        end
        store.replace = replace and function(self, key, old, bytes, seconds)
          ttl = seconds
          return replace(self, key, old, bytes, seconds)
        end
        assert.is_true(handler:replace_cached_token(nil, token("a", { refresh_token = "r" })))
        assert.is_nil(ttl)
        local info, _, entry = handler:get_cached_token()
        assert.is_nil(info.scope)
        assert.equal(json.null, json.decode(entry).scope)
        assert.is_true(handler:replace_cached_token(entry, token "b", NOW + 70))
        assert.equal(70, ttl)
      end)

      it("nothing by what is no token_info", function()
        handler:save_token_to_cache(token "a")
        local _, _, entry = handler:get_cached_token()
        for _, wrong in ipairs { false, {}, { access_token = "t", at = print } } do
          local replaced, err = handler:replace_cached_token(entry, wrong)
          assert.is_nil(replaced)
          assert.equal("cache", err.kind)
        end
        assert.equal("a", current())
      end)
    end)
  end

  it("replaces under a lock, and tells the store of it", function()
    handler:save_token_to_cache(token "a")
    local _, _, entry = handler:get_cached_token()
    local mine = handler:try_lock(10)
    handler:unlock(mine)
    local other = handler:try_lock(10)
    assert.same({ false }, { handler:replace_cached_token(entry, token "b", nil, mine) })
    assert.is_false(handler:can_save(entry, token "a", mine))
    assert.is_true(handler:remove_cached_token(entry, mine))
    assert.equal(entry, handler:can_save(entry, token "a", other))
    assert.is_true(handler:replace_cached_token(entry, token "b", nil, other))
  end)

  describe("reports a failing", function()
    local function expect_failure(words, result, err)
      assert.is_nil(result)
      assert.equal("cache", err.kind)
      assert.equal("ann: the store's " .. words, tostring(err))
    end

    it("replace and can_save", function()
      for _, method in ipairs { "replace", "can_save" } do
        store[method] = function() return nil, "away" end
      end
      over(store)
      expect_failure("replace failed: away", handler:replace_cached_token(nil, token "a"))
      expect_failure("replace failed: away", handler:remove_cached_token("a"))
      expect_failure("can_save failed: away", handler:can_save("a", token "a"))
      store.can_save_anew = true
      expect_failure("can_save failed: away", handler:can_save(nil, nil))
      local err = errors.new("timeout", "too slow")
      store.replace = function() return nil, err end
      assert.equal(err, (select(2, handler:replace_cached_token(nil, token "a"))))
      store.replace = function() end
      expect_failure("replace failed", handler:replace_cached_token(nil, token "a"))
      store.can_save = function() end
      expect_failure("can_save failed", handler:can_save("a", token "a"))
    end)

    it("get and set, where it has no replace", function()
      over(table_store())
      store.get = function() return nil, "away" end
      expect_failure("get failed: away", handler:replace_cached_token(nil, token "a"))
      expect_failure("get failed: away", handler:remove_cached_token "a")
      store.get = function() end
      store.set = function() return nil, "full" end
      expect_failure("set failed: full", handler:replace_cached_token(nil, token "a"))
    end)

    it("get, set and delete of a mark", function()
      for _, method in ipairs { "get", "set", "delete" } do
        store[method] = function() return nil, "away" end
      end
      expect_failure("get failed: away", handler:get_mark())
      expect_failure("set failed: away", handler:set_mark("text", 10))
      expect_failure("delete failed: away", handler:set_mark(nil))
    end)
  end)

  it("does not say that a token is gone where it cannot look", function()
    store.replace = function() return false end
    store.get = function() return nil, "away" end
    assert.same({ false }, { handler:replace_cached_token("a", token "b") })
  end)

  describe("shows that it can save", function()
    it("if the store does, for the time that the entry has", function()
      assert.is_nil(from_store(table_store(), "ann").can_save)
      local seen
      store.can_save = function(_, ...)
        seen = { ... }
        return "padded"
      end
      over(store)
      assert.equal("padded", handler:can_save("a", token "a", "handle"))
      assert.same({ "ann", "a", 3600, "handle" }, seen)
      handler:can_save("a", token("a", { refresh_token = "r" }))
      assert.same({ "ann", "a" }, seen)
      over(store, { ttl = 7 })
      handler:can_save("a", token("a", { refresh_token = "r" }))
      assert.same({ "ann", "a", 7 }, seen)
    end)

    it("where nothing is if the store can tell", function()
      local asked = 0
      store.can_save = function(_, _, bytes)
        assert.is_nil(bytes)
        asked = asked + 1
        return nil
      end
      store.can_save_anew = true
      over(store)
      local entry, err = handler:can_save(nil, nil)
      assert.is_true(entry == nil and err == nil)
      assert.equal(1, asked)
      assert.is_nil(current())
    end)

    it("where nothing is by an entry that is of no use, over which it saves", function()
      local entry = assert(handler:can_save(nil, nil))
      local info = handler:get_cached_token()
      assert.equal(0, info.expires_at)
      assert.is_nil(info.refresh_token)
      assert.is_true(handler:replace_cached_token(entry, token "a"))
      assert.equal("a", current())
      assert.is_false(handler:can_save(nil, nil)) -- something is there
      store.replace = function() return nil, "full" end
      local kept, err = handler:can_save(nil, nil)
      assert.is_nil(kept)
      assert.matches("replace failed: full", tostring(err), 1, true)
      store.replace = false
      over(store)
      entry = handler:can_save(nil, nil)
      assert.is_nil(entry)
    end)
  end)

  describe("keeps a mark", function()
    it("beside the token, apart from those of other keys", function()
      assert.is_nil((handler:get_mark()))
      handler:save_token_to_cache(token "a")
      assert.is_true(handler:set_mark("logged out\nat noon", 60))
      assert.equal("logged out\nat noon", handler:get_mark())
      assert.equal("a", current())
      assert.is_nil((from_store(store, "bob"):get_mark()))
      handler:remove_cached_token()
      assert.equal("logged out\nat noon", handler:get_mark())
      assert.is_true(handler:set_mark("", 60))
      assert.equal("", handler:get_mark())
      assert.is_true(handler:set_mark(nil))
      local text, err = handler:get_mark()
      assert.is_true(text == nil and err == nil)
    end)

    it("until its end, also in a store that ends nothing", function()
      over(table_store())
      handler:set_mark("out", 59.5)
      assert.equal(60, store.ttls["tokencache-mark:ann"])
      now = NOW + 59.4
      assert.equal("out", handler:get_mark())
      now = NOW + 60
      assert.is_nil((handler:get_mark()))
    end)

    it("no more, also in a store that deletes nothing", function()
      over(table_store())
      handler:set_mark("out", 60)
      store.delete = nil
      assert.is_true(handler:set_mark(nil))
      assert.is_nil((handler:get_mark()))
      assert.equal(1, store.ttls["tokencache-mark:ann"])
    end)

    it("where the store says", function()
      over(table_store())
      function store.mark_key(_, key) return key .. ".mark" end
      handler:set_mark("out", 60)
      assert.matches("out$", store.entries["ann.mark"])
      assert.equal("out", handler:get_mark())
    end)

    it("where a client of memcached can, too", function()
      local rows = {}
      local client = {
        get = function(_, key) return rows[key] end,
        set = function(_, key, bytes)
          assert.is_true(#key <= 250, key)
          rows[key] = bytes
          return true
        end,
      }
      for _, length in ipairs { 10, 245, 300 } do
        local over_client = cache.memcached { client = client, key = ("k"):rep(length) }
        assert.is_nil((over_client:get_mark()))
        assert.is_true(over_client:set_mark("out", 60))
        assert.equal("out", over_client:get_mark())
      end
    end)

    it("and says where something else lies in its place", function()
      for _, wrong in ipairs { "out", "x out", "{}" } do
        store:set("tokencache-mark:ann", wrong)
        local text, err = handler:get_mark()
        assert.is_nil(text)
        assert.equal("cache", err.kind)
        assert.matches("^ann: the mark beside the token is damaged; remove ", tostring(err))
      end
    end)

    it("sealed, over an encrypted store", function()
      over(stores.encrypted(store, { keys = { a = "sixteen bytes..." }, use = "a" }))
      handler:set_mark("out", 60)
      assert.equal("out", handler:get_mark())
    end)
  end)

  describe("names its account", function()
    it("by the store and the key", function()
      local identity, key = handler:account_id()
      assert.equal(store, identity)
      assert.equal("ann", key)
      local sealed = stores.encrypted(store, { keys = { a = "sixteen bytes..." }, use = "a" })
      assert.equal(store, (from_store(sealed, "ann"):account_id()))
    end)

    it("as the store says", function()
      store.identity = "the ledger"
      assert.same({ "the ledger", "ann" }, { handler:account_id() })
      function store.identity_key(_, key) return "/" .. key end
      assert.same({ "the ledger", "/ann" }, { handler:account_id() })
    end)
  end)

  it("takes no key of a lock or a mark", function()
    for _, kind in ipairs { "lock", "mark" } do
      local ok, message = pcall(from_store, store, "tokencache-" .. kind .. ":ann")
      assert.is_false(ok)
      assert.matches(('from_store: key must not start with "tokencache%%-%s:", as those of %ss do; '
        .. "choose another"):format(kind, kind), message)
    end
    for _, key in ipairs { "tokencache-", "tokencache-lock", "tokencache-marks:a", "a-lock:a" } do
      assert.is_true(from_store(store, key):save_token_to_cache(token "a"))
    end
  end)

  it("lets every one of these methods yield", function()
    for _, name in ipairs { "get", "replace", "can_save", "set", "delete" } do
      local method = store[name]
      store[name] = function(...)
        coroutine.yield(name)
        return method(...)
      end
    end
    over(store)
    local yields = {}
    local thread = coroutine.create(function()
      handler:replace_cached_token(nil, token "a")
      local _, _, entry = handler:get_cached_token()
      handler:can_save(entry, token "a")
      handler:replace_cached_token("b", token "b")
      handler:set_mark("out", 60)
      handler:get_mark()
      handler:set_mark(nil)
      handler:remove_cached_token(entry)
    end)
    while coroutine.status(thread) ~= "dead" do
      yields[#yields + 1] = select(2, assert(coroutine.resume(thread)))
    end
    assert.same({ "replace", "get", "can_save", "replace", "get", "set", "get", "delete",
      "replace" }, yields)
  end)
end)
