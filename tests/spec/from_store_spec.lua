local core = require "tokencache._core"
local errors = require "tokencache.error"
local from_store = require "tokencache.cache.from_store"
local json = require "tokencache.json"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local table_store = require "support.table_store"

local NOW = 1760000000

local function clock()
  return NOW + 0.25
end

describe("from_store", function()
  local store, handler

  before_each(function()
    store = table_store()
    handler = from_store(store, "ann", { clock = clock })
  end)

  local function get_after(text)
    store.entries.ann = text
    return handler:get_cached_token()
  end

  it("keeps a token", function()
    local info, err = handler:get_cached_token()
    assert.is_nil(info)
    assert.is_nil(err)
    local given = { access_token = "t", nested = { 1, { a = true } } }
    assert.is_true(handler:save_token_to_cache(given))
    json.array(given.nested)
    assert.same(given, handler:get_cached_token())
    assert.is_true(handler:remove_cached_token())
    assert.is_nil((handler:get_cached_token()))
  end)

  it("keeps keys apart", function()
    local other = from_store(store, "bob")
    handler:save_token_to_cache({ access_token = "t" })
    assert.is_nil((other:get_cached_token()))
  end)

  it("works over a userdata", function()
    -- the only userdata of plain Lua whose metatable lends itself: a file's, with methods added
    local stream = assert(io.tmpfile())
    local methods = getmetatable(stream).__index
    finally(function()
      methods.get, methods.set = nil, nil
      stream:close()
    end)
    local entries = {}
    methods.get = function(_, key) return entries[key] end
    methods.set = function(_, key, bytes) entries[key] = bytes end
    local over = from_store(stream, "ann")
    assert.is_true(over:save_token_to_cache({ access_token = "t" }))
    assert.equal("t", over:get_cached_token().access_token)
  end)

  it("shows its key, and no token, as text", function()
    handler:save_token_to_cache({ access_token = "s3cret" })
    handler:peek_cached_token()
    assert.equal("tokencache.cache: ann", tostring(handler))
  end)

  it("gives each caller a table of its own", function()
    handler:save_token_to_cache({ access_token = "t", nested = { a = 1 } })
    local first, second = handler:get_cached_token(), handler:get_cached_token()
    assert.not_equal(first, second)
    assert.not_equal(first.nested, second.nested)
  end)

  it("tells a miss to the log, at debug level", function()
    local lines = keep_log()
    finally(function() log.set_logger(nil) end)
    handler:get_cached_token()
    assert.same({ "debug ann: no token is cached" }, lines)
  end)

  describe("normalises", function()
    it("what it reads", function()
      local info = get_after([[{"access_token": "t", "expires_in": "3600",
        "expires_at": 1760003600.0, "authorized_at": "1760000000.5",
        "scope": null, "refresh_token": null,
        "token_type": null, "other": null, "nested": {"expires_in": "3600", "scope": null}}]])
      assert.same({
        access_token = "t",
        expires_in = 3600,
        expires_at = 1760003600,
        authorized_at = 1760000000.5,
        other = json.null,
        nested = { expires_in = "3600", scope = json.null },
      }, info)
      assert.equal("3600 1760003600", info.expires_in .. " " .. info.expires_at)
    end)

    it("what it saves, in a copy", function()
      local given = {
        access_token = "t", expires_in = "3600", expires_at = 1760003600.0, scope = json.null,
        authorized_at = json.null, other = "3600",
      }
      handler:save_token_to_cache(given)
      assert.equal([[{"access_token":"t","expires_at":1760003600,]]
        .. [["expires_in":3600,"other":"3600"}]], store.entries.ann)
      assert.equal("3600", given.expires_in)
      assert.equal(json.null, given.scope)
    end)

    it("an end beyond 2^53, as Java's largest number is", function()
      local info = assert(get_after([[{"access_token":"t","expires_at":9223372036854775807}]]))
      assert.equal(2 ^ 63, info.expires_at + 0.0)
    end)

    it("null numbers away", function()
      local info = get_after([[{"access_token": "t", "expires_in": null, "expires_at": null}]])
      assert.same({ access_token = "t" }, info)
    end)

    for _, value in ipairs { [["soon"]], [["0x10"]], [["1e3"]], [[" 1"]], "true", "{}", [[""]] } do
      it("nothing out of " .. value, function()
        local info, err = get_after([[{"access_token": "t", "expires_at": ]] .. value .. "}")
        assert.is_nil(info)
        assert.equal("cache", err.kind)
        assert.equal("ann: the token_info's expires_at is neither a number nor a date; mend or "
          .. "remove it", tostring(err))
      end)
    end
  end)

  it("has no token that would end the header it is put into", function()
    local problem = "ann: the token_info's access_token holds a control character"
    local refused = { nil, problem }
    local function outcome(result, err) return { result, tostring(err) } end
    assert.same(refused, outcome(handler:save_token_to_cache({ access_token = "t\r\nX: y" })))
    refused[2] = problem .. "; mend or remove it"
    for _, escape in ipairs { "\\r\\nX: y", "\\u0000", "\\u007f" } do
      store.entries.ann = '{"access_token":"t' .. escape .. '"}'
      assert.same(refused, outcome(handler:get_cached_token()))
    end
  end)

  describe("writes a null scope", function()
    local function saved(info)
      handler:save_token_to_cache(info)
      return json.decode(store.entries.ann).scope
    end

    it("for a user's token without scope", function()
      assert.equal(json.null, saved({ access_token = "t", refresh_token = "r" }))
    end)

    it("for no other", function()
      assert.is_nil(saved({ access_token = "t" }))
      assert.is_nil(saved({ access_token = "t", refresh_token = "" }))
      assert.equal("a", saved({ access_token = "t", refresh_token = "r", scope = "a" }))
    end)
  end)

  describe("keeps or refuses, and never alters", function()
    local function round_trip(value)
      local saved, err = handler:save_token_to_cache({ access_token = "t", value = value })
      if not saved then
        return nil, err
      end
      return handler:get_cached_token().value
    end

    local kept = {
      ["the largest exact integer"] = 9007199254740991,
      ["a float"] = 0.1,
      ["a tiny float"] = 5e-324,
      ["UTF-8"] = "Zo\195\171 \226\152\131 \240\159\142\181",
      ["escapes"] = "\"\\/\b\f\n\r\t\0\127",
      ["nested tables"] = { a = { b = { c = json.array { 1, json.null, {} } } } },
      ["an empty array"] = json.array {},
      ["false"] = false,
    }
    for name, value in pairs(kept) do
      it(name, function()
        local back = round_trip(value)
        assert.same(value, back)
        assert.equal(getmetatable(value), getmetatable(back))
      end)
    end

    it("an integer of 63 bits", function()
      local text = [[{"access_token":"t","value":9223372036854775807}]]
      local info = get_after(text)
      handler:save_token_to_cache(info)
      assert.equal(text, store.entries.ann)
    end)

    local refused = {
      ["invalid UTF-8"] = "\255",
      ["NaN"] = 0 / 0,
      ["infinity"] = math.huge,
      ["a function"] = print,
      ["a mixed table"] = { 1, a = 2 },
    }
    for name, value in pairs(refused) do
      it(name, function()
        store.entries.ann = "before"
        local saved, err = round_trip(value)
        assert.is_nil(saved)
        assert.equal("cache", err.kind)
        assert.matches("^ann: .*value", tostring(err))
        assert.equal("before", store.entries.ann)
      end)
    end
  end)

  it("refuses to save what is no token_info", function()
    store.entries.ann = "before"
    for _, wrong in ipairs { false, 1, "s3cret", {}, { access_token = 1 }, { access_token = "" },
      { access_token = json.null }, { access_token = "s3cret", expires_at = "s3cret" } } do
      local saved, err = handler:save_token_to_cache(wrong)
      assert.is_nil(saved)
      assert.equal("cache", err.kind)
      assert.matches("^ann: ", tostring(err))
      assert.is_nil(tostring(err):find("s3cret", 1, true))
    end
    assert.is_nil((handler:save_token_to_cache()))
    assert.equal("before", store.entries.ann)
  end)

  describe("joins the parts of a key", function()
    local function key_of(parts)
      local keyed = table_store()
      from_store(keyed, parts):save_token_to_cache({ access_token = "t" })
      return (next(keyed.entries))
    end

    it("readably", function()
      assert.equal("token:ann", key_of { "token", "ann" })
      assert.equal("token:ann%40example.com:a.b-c_d~E", key_of { "token", "ann@example.com",
        "a.b-c_d~E" })
      assert.equal("token:", key_of { "token", "" })
    end)

    it("without blanks, separators or braces of a user's in it", function()
      for byte = 0, 255 do
        local char = string.char(byte)
        local key = key_of { "token", char }
        assert.matches("^token:[%w%%._~-]+$", key)
        assert.equal(char:find("^[A-Za-z0-9._~-]$") and "token:" .. char
          or ("token:%%%02x"):format(byte), key)
      end
    end)

    it("so that no two lists make the same", function()
      local texts = { "", ":", "%", "a", "A", "%3a", "a:", ":a", "a:b", "/", "..", "\0", "\n", "é" }
      local seen = {}
      local function check(parts)
        local key = key_of(parts)
        assert.is_nil(seen[key], key)
        seen[key] = true
      end
      for i, one in ipairs(texts) do
        if i > 1 then
          check { one }
        end
        for _, two in ipairs(texts) do
          check { one, two }
          for _, three in ipairs(texts) do
            check { one, two, three }
          end
        end
      end
    end)
  end)

  it("makes a handler that is its store and its key", function()
    local fields = {}
    for name, value in pairs(from_store(store, "ann")) do
      fields[name] = value
    end
    assert.same({ store = store, key = "ann" }, fields)
    assert.equal(getmetatable(from_store(store, "ann")), getmetatable(from_store(store, "bob")))
  end)

  describe("gives the store a time to live", function()
    local cases = {
      { "until it expires", { expires_at = NOW + 3600 }, 3600 },
      { "of whole seconds", { expires_at = NOW + 10.75 }, 11 },
      { "of a second at least", { expires_at = NOW - 100 }, 1 },
      { "unless nothing tells when it expires", { expires_in = 3600 }, nil },
      { "unless it has a refresh token", { expires_at = NOW + 3600, refresh_token = "r" }, nil },
      { "when its refresh token is empty", { expires_at = NOW + 60, refresh_token = "" }, 60 },
      { "unless it is longer than clocks go", { expires_at = NOW + 1e16 }, nil },
      { "unless the option is", { expires_at = NOW + 60 }, nil, ttl = 1e16 },
      { "that the option overrides", { expires_at = NOW + 3600, refresh_token = "r" }, 7, ttl = 7 },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local info = case[2]
        info.access_token = "t"
        local timed = from_store(store, "ann", { clock = clock, ttl = case.ttl })
        assert.is_true(timed:save_token_to_cache(info))
        assert.equal(case[3], store.ttls.ann)
        if case[3] then
          assert.is_nil(tostring(store.ttls.ann):find(".", 1, true), "a float")
        end
      end)
    end

    it("until the time that a save is given", function()
      local info = { access_token = "t", expires_at = NOW + 3600, refresh_token = "r" }
      handler:save_token_to_cache(info, NOW + 7200)
      assert.equal(7200, store.ttls.ann)
      from_store(store, "ann", { ttl = 7 }):save_token_to_cache(info, NOW + 7200)
      assert.equal(7, store.ttls.ann)
    end)

    it("by the system's clock", function()
      handler = from_store(store, "ann")
      local expires_at = math.floor(core.now()) + 1000
      handler:save_token_to_cache({ access_token = "t", expires_at = expires_at })
      assert.is_true(store.ttls.ann >= 990 and store.ttls.ann <= 1000)
    end)
  end)

  describe("reports", function()
    local METHODS = {
      get = "get_cached_token",
      set = "save_token_to_cache",
      delete = "remove_cached_token",
      try_lock = "try_lock",
      extend_lock = "extend_lock",
      unlock = "unlock",
    }

    for method, name in pairs(METHODS) do
      it("a failing " .. method, function()
        local answer = { nil, nil }
        for other in pairs(METHODS) do
          store[other] = function() return answer[1], answer[2] end
        end
        handler = from_store(store, "ann")

        answer = { nil, "the reason" }
        local argument = name ~= "remove_cached_token" and { access_token = "s3cret" } or nil
        local result, err = handler[name](handler, argument)
        assert.is_nil(result)
        assert.equal("cache", err.kind)
        assert.equal("ann: the store's " .. method .. " failed: the reason", tostring(err))

        answer = { nil, errors.new("timeout", "too slow") }
        result, err = handler[name](handler, argument)
        assert.is_nil(result)
        assert.equal("timeout", err.kind)
        assert.equal("too slow", tostring(err))

        store[method] = function() error("raised", 0) end
        assert.has_error(function() handler[name](handler, argument) end, "raised")
      end)
    end

    it("a set and a delete that say false", function()
      store.set = function() return false end
      store.delete = function() return false end
      local function expect_failure(result, err)
        assert.is_nil(result)
        assert.equal("cache", err.kind)
      end
      expect_failure(handler:save_token_to_cache { access_token = "t" })
      expect_failure(handler:remove_cached_token())
    end)

    it("a get of something else than bytes", function()
      for _, wrong in ipairs { false, 1, {} } do
        store.get = function() return wrong end
        local info, err = handler:get_cached_token()
        assert.is_nil(info)
        assert.equal("cache", err.kind)
        assert.matches("^ann: .*string expected", tostring(err))
      end
    end)
  end)

  describe("locks", function()
    it("only if the store does", function()
      assert.is_nil(handler.try_lock)
      assert.is_nil(handler.unlock)
      store.delete = nil
      assert.is_nil(from_store(store, "ann").remove_cached_token)
    end)

    it("by its key", function()
      local calls = {}
      local free = true
      store.try_lock = function(_, name, ttl)
        calls[#calls + 1] = name .. " " .. ttl
        return free and "handle"
      end
      store.unlock = function(_, handle)
        calls[#calls + 1] = handle
        return true
      end
      handler = from_store(store, "ann")
      assert.equal("handle", handler:try_lock(30))
      assert.is_true(handler:unlock("handle"))
      free = false
      assert.is_false(handler:try_lock(5))
      assert.same({ "ann 30", "handle", "ann 5" }, calls)
    end)

    it("with the store's guard, and as long as the store says", function()
      local guard = {}
      store.try_lock = function() return "handle", guard end
      store.unlock = function() return true end
      assert.is_nil(from_store(store, "ann").extend_lock)
      store.extend_lock = function(_, handle, ttl) return handle == "handle" and ttl == 10 end
      handler = from_store(store, "ann")
      local handle, kept = handler:try_lock(30)
      assert.equal("handle", handle)
      assert.equal(guard, kept)
      assert.is_true(handler:extend_lock(handle, 10))
      assert.is_false(handler:extend_lock("another", 10))
    end)
  end)

  it("lets every store method yield", function()
    for _, name in ipairs { "get", "set", "delete" } do
      local method = store[name]
      store[name] = function(...)
        coroutine.yield(name)
        return method(...)
      end
    end
    local yields, token = {}, nil
    local thread = coroutine.create(function()
      handler:save_token_to_cache({ access_token = "t" })
      handler:peek_cached_token()
      token = handler:get_cached_token().access_token
      handler:remove_cached_token()
    end)
    while coroutine.status(thread) ~= "dead" do
      local _, name = assert(coroutine.resume(thread))
      yields[#yields + 1] = name
    end
    assert.same({ "set", "get", "get", "delete" }, yields)
    assert.equal("t", token)
  end)

  it("raises at mistakes, where they were made", function()
    local mistakes = {
      { "store must be a table", function() from_store(nil, "ann") end },
      { "store has no method get", function() from_store({ set = print }, "ann") end },
      { "store has no method set", function() from_store({ get = print }, "ann") end },
      { "key must be", function() from_store(store) end },
      { "key must be", function() from_store(store, "") end },
      { "key must be", function() from_store(store, {}) end },
      { "a list as key", function() from_store(store, { "a", 1 }) end },
      { "a list as key", function() from_store(store, { "a", nil, "b" }) end },
      { "a list as key", function() from_store(store, { "a", user = "b" }) end },
      { "unknown option tll", function() from_store(store, "ann", { tll = 1 }) end },
      { "ttl must be", function() from_store(store, "ann", { ttl = 0 }) end },
      { "clock must be", function() from_store(store, "ann", { clock = 1 }) end },
    }
    for _, mistake in ipairs(mistakes) do
      local ok, message = pcall(mistake[2])
      assert.is_false(ok)
      assert.matches("from_store_spec.lua:%d+: from_store: " .. mistake[1], message)
    end
  end)
end)
