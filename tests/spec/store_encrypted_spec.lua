local cache = require("tokencache").cache
local core = require "tokencache._core"
local crypto = require "tokencache._crypto"
local encrypted = require "tokencache.store.encrypted"
local folder = require "support.folder"
local process = require "support.process"
local redis_server = require "support.redis_server"
local store = require("tokencache").store

local OLD, NEW = "0123456789abcdef", "s3cret-of-the-newer-key-id-------"
local TOKEN = { access_token = "s3cret-access-token", refresh_token = "s3cret-refresh-token",
  token_type = "Bearer", expires_at = 1760003600 }

describe("store.encrypted", function()
  local inner

  before_each(function()
    inner = store.memory()
  end)

  local function over(keys, use, plaintext)
    return encrypted(inner, { keys = keys, use = use, plaintext = plaintext })
  end

  --- Fails unless the entry is refused, for that reason and without telling a secret.
  local function expect_refused(reason, bytes, err)
    assert.is_nil(bytes)
    assert.equal("cache", err.kind)
    assert.matches(reason, err.message)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.is_nil(err.message:find(OLD, 1, true))
  end

  it("gives back what was set, and nothing where nothing was", function()
    local sealing = over({ a = OLD }, "a")
    local missing, problem = sealing:get("ann")
    assert.is_true(missing == nil and problem == nil)
    for _, text in ipairs { "", "x", "a\0b", ("long"):rep(50000) } do
      assert.is_true(sealing:set("ann", text))
      assert.equal(text, sealing:get("ann"))
    end
    assert.is_true(sealing:delete("ann"))
    assert.is_nil((sealing:get("ann")))
  end)

  describe("leaves no piece of a token", function()
    --- Saves one to `inner` and looks for each six bytes of it in what `dump` returns, and in what
    --- that decodes to.
    local function expect_hidden(dump)
      local handler = cache.from_store(over({ a = OLD }, "a"), { "token", "ann" })
      assert.is_true(handler:save_token_to_cache(TOKEN))
      assert.same(TOKEN, handler:get_cached_token())
      local bytes = dump()
      local body = bytes:match("tokencache%-sealed:1:a:[%w_-]+:[%w_-]+:([%w_-]+)")
      bytes = bytes .. core.base64url_decode(body)
      for _, text in ipairs { OLD, "access_token", TOKEN.access_token, TOKEN.refresh_token } do
        for i = 1, #text - 5 do
          assert.is_nil(bytes:find(text:sub(i, i + 5), 1, true))
        end
      end
    end

    it("in the directory of a file store", function()
      local dir = folder.new()
      finally(function() dir:remove() end)
      inner = store.file { directory = dir.path }
      expect_hidden(function() return dir:shell("cat ./*") end)
    end)

    it("in Redis", function()
      local server = redis_server.start()
      finally(function() server:stop() end)
      inner = store.redis { port = server.port }
      expect_hidden(function()
        assert.equal("1", (server:cli("DBSIZE"):match("%d+")))
        return server:cli("GET", "token:ann") .. server:cli("DUMP", "token:ann")
      end)
    end)
  end)

  it("refuses an entry of which any byte was altered", function()
    for _, plaintext in ipairs { false, "allow" } do
      local sealing = over({ a = OLD, b = NEW }, "a", plaintext or nil)
      local handler = cache.from_store(sealing, "ann")
      handler:save_token_to_cache({ access_token = "t" })
      local entry = inner:get("ann")
      for i = 1, #entry do
        for byte = 0, 255 do
          if byte ~= entry:byte(i) then
            inner:set("ann", entry:sub(1, i - 1) .. string.char(byte) .. entry:sub(i + 1))
            local info, err = handler:get_cached_token()
            if info ~= nil or err.kind ~= "cache" then
              error(("byte %d as %d: %s"):format(i, byte, tostring(err)))
            end
          end
        end
        inner:set("ann", i > 1 and entry:sub(1, i - 1) or "x")
        expect_refused("^ann: ", handler:get_cached_token())
      end
      inner:set("ann", entry .. "A")
      expect_refused("altered", handler:get_cached_token())
      inner:set("ann", entry)
      assert.equal("t", handler:get_cached_token().access_token)
    end
  end)

  it("tells why an entry does not open", function()
    over({ a = OLD }, "a"):set("ann", "text")
    local entry = inner:get("ann")
    expect_refused("^ann: the entry was sealed with another secret than the one given as key id a;",
      over({ a = NEW }, "a"):get("ann"))
    expect_refused("^ann: the entry was sealed with the key id a, which is not among keys;",
      over({ b = OLD }, "b"):get("ann"))
    inner:set("bob", entry)
    expect_refused("^bob: the entry belongs to another key and was moved here;",
      over({ a = OLD }, "a"):get("bob"))
    local body = entry:match("[^:]+$")
    inner:set("ann", entry:sub(1, -#body - 1) .. (body:find("^A") and "B" or "A") .. body:sub(2))
    expect_refused("^ann: the entry was altered since it was sealed;",
      over({ a = OLD }, "a"):get("ann"))
    inner:set("ann", entry:sub(1, 30))
    expect_refused("^ann: the sealed entry was altered;", over({ a = OLD }, "a"):get("ann"))
    inner:set("ann", "s3cret text")
    expect_refused("^ann: the entry is neither sealed nor a token;",
      over({ a = OLD }, "a", "allow"):get("ann"))
  end)

  it("lets secrets be replaced while readers of both ages are about", function()
    local first = over({ old = OLD }, "old")                -- before
    local both = over({ old = OLD, new = NEW }, "old")      -- every process learns the new one,
    local rotated = over({ old = OLD, new = NEW }, "new")   -- then all seal with it,
    local last = over({ new = NEW }, "new")                 -- then the old one goes
    first:set("ann", "1")
    assert.equal("1 1", both:get("ann") .. " " .. rotated:get("ann"))
    rotated:set("bob", "2")
    assert.equal("2 2", both:get("bob") .. " " .. last:get("bob"))
    expect_refused("the key id new, which is not among keys", first:get("bob"))
    expect_refused("the key id old, which is not among keys", last:get("ann"))
    rotated:set("ann", rotated:get("ann"))
    assert.equal("1 1", both:get("ann") .. " " .. last:get("ann"))
  end)

  it("reads what was not sealed only if allowed", function()
    local text = process.read_file "tests/fixtures/spotipy/pkce.json"
    inner:set("ann", text)
    expect_refused('^ann: the entry is not sealed; .*plaintext = "allow"',
      over({ a = OLD }, "a"):get("ann"))
    local handler = cache.from_store(over({ a = OLD }, "a", "allow"), "ann")
    local info = handler:get_cached_token()
    assert.is_string(info.access_token)
    assert.is_true(handler:save_token_to_cache(info))
    assert.is_nil(inner:get("ann"):find(info.access_token, 1, true))
    assert.same(info, cache.from_store(over({ a = OLD }, "a"), "ann"):get_cached_token())
  end)

  it("passes on time to live, locks and failures", function()
    local calls = {}
    local fake = { get = function() return nil, "away" end }
    for _, name in ipairs { "set", "delete", "try_lock", "extend_lock", "unlock" } do
      fake[name] = function(_, first, ...)
        local rest = { ... }
        calls[#calls + 1] = name .. " " .. first .. " " .. tostring(rest[#rest])
        return name .. "ed", "and more"
      end
    end
    local sealing = encrypted(fake, { keys = { a = OLD }, use = "a" })
    assert.same({ nil, "away" }, { sealing:get("ann") })
    assert.same({ "seted", "and more" }, { sealing:set("ann", "text", 7) })
    assert.same({ "deleteed", "and more" }, { sealing:delete("ann") })
    assert.same({ "try_locked", "and more" }, { sealing:try_lock("ann", 10) })
    assert.same({ "extend_locked", "and more" }, { sealing:extend_lock("handle", 11) })
    assert.same({ "unlocked", "and more" }, { sealing:unlock("handle") })
    assert.same({ "set ann 7", "delete ann nil", "try_lock ann 10", "extend_lock handle 11",
      "unlock handle nil" }, calls)
    local bare = encrypted({ get = fake.get, set = fake.set }, { keys = { a = OLD }, use = "a" })
    assert.is_nil(bare.delete or bare.try_lock or bare.extend_lock or bare.unlock)
  end)

  describe("replaces", function()
    it("what was read, by what it says", function()
      local old, new = over({ old = OLD, new = NEW }, "old"), over({ old = OLD, new = NEW }, "new")
      assert.is_true(old:replace("ann", nil, "1"))
      assert.is_false(old:replace("ann", nil, "2"))
      assert.is_false(new:replace("ann", "2", "3"))
      assert.is_false(new:replace("bob", "1", "3"))
      assert.is_true(new:replace("ann", "1", "2", 7)) -- it was sealed with another secret
      assert.equal("2", old:get("ann"))
      assert.matches("^tokencache%-sealed:1:new:", inner:get("ann"))
    end)

    it("what was read by nothing, by what it says", function()
      local sealing = over({ a = OLD }, "a")
      sealing:set("ann", "1")
      assert.is_false(sealing:replace("ann", "2", nil))
      assert.equal("1", sealing:get("ann"))
      assert.is_true(sealing:replace("ann", "1", nil))
      assert.is_nil((inner:get("ann")))
      assert.is_false(sealing:replace("ann", "1", nil))
      assert.error_matches(function() sealing:replace("ann", nil, nil) end, "not nil")
    end)

    it("nothing that another put there between the look and the save", function()
      local sealing = over({ a = OLD }, "a")
      sealing:set("ann", "1")
      local replace = inner.replace
      function inner.replace(self, ...)
        sealing:set("ann", "1") -- it says the same, and is another entry
        return replace(self, ...)
      end
      assert.is_false(sealing:replace("ann", "1", "2"))
      assert.is_false(sealing:replace("ann", "1", nil))
      assert.equal("1", sealing:get("ann"))
    end)

    it("nothing that does not open", function()
      over({ b = NEW }, "b"):set("ann", "1")
      local entry, sealing = inner:get("ann"), over({ a = OLD }, "a")
      for _, old in ipairs { "1", entry } do
        expect_refused("the key id b", sealing:replace("ann", old, "2"))
        expect_refused("the key id b", sealing:can_save("ann", old, 10))
      end
      expect_refused("the key id b", sealing:replace("ann", nil, "2"))
      assert.equal(entry, inner:get("ann"))
    end)

    it("nothing while another holds the lock", function()
      local sealing = over({ a = OLD }, "a")
      sealing:set("ann", "1")
      local mine = sealing:try_lock("ann", 10)
      sealing:unlock(mine)
      local other = sealing:try_lock("ann", 10)
      assert.is_false(sealing:replace("ann", "1", "2", nil, mine))
      assert.is_false(sealing:can_save("ann", "1", nil, mine))
      assert.equal("1", sealing:can_save("ann", "1", nil, other))
      assert.is_true(sealing:replace("ann", "1", "2", nil, other))
    end)

    it("only where the store within does", function()
      local bare = { get = inner.get, set = inner.set }
      local sealing = encrypted(bare, { keys = { a = OLD }, use = "a" })
      assert.is_nil(sealing.replace or sealing.can_save or sealing.keys)
    end)
  end)

  describe("over a store that pads an entry to see whether a longer one fits", function()
    before_each(function()
      function inner.can_save(self, key, bytes, ttl, handle)
        local padded = bytes:gsub(" *$", "") .. (" "):rep(1024)
        return self:replace(key, bytes, padded, ttl, handle) and padded
      end
    end)

    it("reads and replaces what was padded", function()
      local sealing = over({ a = OLD }, "a")
      sealing:set("ann", "1")
      for _ = 1, 2 do
        assert.equal("1", sealing:can_save("ann", "1", 10))
        assert.matches("[%w_-] +$", inner:get("ann"))
        assert.equal("1", sealing:get("ann"))
      end
      assert.is_false(sealing:can_save("ann", "2", 10))
      assert.is_true(sealing:replace("ann", "1", "2"))
      assert.equal("2", sealing:get("ann"))
    end)

    it("says so of an entry that is not sealed", function()
      local sealing = over({ a = OLD }, "a", "allow")
      inner:set("ann", "{}")
      local padded = sealing:can_save("ann", "{}", 10)
      assert.equal("{}" .. (" "):rep(1024), padded)
      assert.is_true(sealing:replace("ann", padded, "2"))
      assert.equal("2", sealing:get("ann"))
    end)

    it("takes nothing but blanks at the end for padding", function()
      local sealing = over({ a = OLD }, "a")
      sealing:set("ann", "1")
      local entry = inner:get("ann")
      for _, changed in ipairs { entry .. "  A", entry .. "\n", entry .. "\0", " " .. entry,
        (entry:gsub(":1:", ":1 :")) } do
        inner:set("ann", changed)
        expect_refused("^ann: ", sealing:get("ann"))
      end
    end)
  end)

  it("seals what is kept elsewhere as it seals its entries", function()
    local sealing = over({ a = OLD }, "a", "allow")
    local text = sealing:protect("ann", "s3cret")
    assert.is_nil(text:find("s3cret", 1, true))
    assert.equal("s3cret", sealing:reveal("ann", text))
    expect_refused("moved here", sealing:reveal("bob", text))
    expect_refused("altered", sealing:reveal("ann", '{"access_token":"planted"}'))
    expect_refused("the key id a", over({ b = NEW }, "b"):reveal("ann", text))
    assert.is_nil((inner:get("ann")))
  end)

  it("is known as the store within, and lists its keys", function()
    local sealing = over({ a = OLD }, "a")
    assert.equal(inner, sealing.identity)
    sealing:set("token:ann", "1")
    sealing:set("other", "1")
    assert.same({ "token:ann" }, (sealing:keys("token:")))
    inner.identity = "memory of the test"
    function inner.identity_key(_, key) return "at " .. key end
    function inner.mark_key(_, key) return "mark of " .. key end
    inner.can_save_anew = true
    sealing = over({ a = OLD }, "a")
    assert.equal("memory of the test", sealing.identity)
    assert.equal("at ann", sealing:identity_key("ann"))
    assert.equal("mark of ann", sealing:mark_key("ann"))
    assert.is_true(sealing.can_save_anew)
  end)

  it("shows no secret, as text or field by field", function()
    local sealing = over({ a = NEW }, "a")
    assert.matches("^tokencache.store.encrypted over tokencache.store.memory$", tostring(sealing))
    for _, value in pairs(sealing) do
      assert.is_true(type(value) == "function" or value == inner)
    end
    local given = { a = NEW }
    sealing = over(given, "a")
    given.a = OLD -- the store has a copy
    sealing:set("ann", "text")
    assert.equal("text", over({ a = NEW }, "a"):get("ann"))
  end)

  it("reports libcrypto's failures", function()
    local sealing = over({ a = OLD }, "a")
    sealing:set("ann", "text")
    for _, name in ipairs { "sha256", "seal", "open" } do
      local working = crypto[name]
      crypto[name] = function() return nil, { kind = "transient", message = "no memory" } end
      local _, set_err = sealing:set("bob", "text")
      local text, get_err = sealing:get("ann")
      crypto[name] = working
      local failing = name == "open" and get_err or set_err
      assert.equal("no memory", failing.message)
      assert.is_true(text == "text" or name == "open" and text == nil)
      assert.equal(name == "open" and "text" or nil, (sealing:get("bob")))
    end
  end)

  it("raises at mistakes, and quotes no secret", function()
    local mistakes = {
      { "store must be a table", function() encrypted(nil, {}) end },
      { "store has no method get", function() encrypted({}, {}) end },
      { "keys is required", function() encrypted(inner, {}) end },
      { "use is required", function() encrypted(inner, { keys = {} }) end },
      { "unknown option key", function() encrypted(inner, { key = NEW }) end },
      { "use: there is no id in keys; give", function() over({ a = NEW }, NEW) end },
      { 'use: there is no id "a" in keys; give', function() over({}, "a") end },
      { 'keys: the secret of the id "a" must be a string of 16 bytes at least',
        function() over({ a = "s3cret-15-bytes" }, "a") end },
      { 'keys: the secret of the id "a" must be',
        function() over({ a = 1234567890123456 }, "a") end },
      { "keys: the secret of the id must be a str", function() over({ [NEW] = "a" }, "a") end },
      { "keys: a table of secrets by id", function() over({ NEW }, "a") end },
      { "keys: a table of secrets by id", function() over({ ["a:b"] = NEW }, "a:b") end },
      { "keys: a table of secrets by id", function() over({ [""] = NEW }, "") end },
      { "keys: a table of secrets by id", function() over({ [("a"):rep(65)] = NEW }, "a") end },
      { 'plaintext must be "allow"', function() over({ a = NEW }, "a", "deny") end },
      { 'plaintext must be "allow"', function() over({ a = NEW }, "a", true) end },
    }
    for _, mistake in ipairs(mistakes) do
      local ok, message = pcall(mistake[2])
      assert.is_false(ok)
      assert.matches("store.encrypted: " .. mistake[1], message)
      assert.is_nil(message:find("s3cret", 1, true))
    end
  end)
end)
