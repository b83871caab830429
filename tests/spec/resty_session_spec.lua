local cache = require("tokencache").cache
local json = require "tokencache.json"
local resty_session = require "support.resty_session"

local TOKEN = { access_token = "BQC-1", refresh_token = "r-1", expires_at = 9999999999 }

describe("cache.resty_session", function()
  local storage

  before_each(function() storage = {} end)

  local function open(changes)
    local session = resty_session.open(storage, "browser")
    for name, value in pairs(changes or {}) do
      session[name] = value
    end
    return session
  end

  it("keeps the token for the next request, as text, beside what is there", function()
    local session = open()
    session:set("user", "alice")
    local handler = cache.resty_session { session = session }
    assert.is_nil(handler:get_cached_token())
    assert.is_true(handler:save_token_to_cache(TOKEN))
    session:close()
    session = open()
    assert.equal("alice", session:get("user"))
    assert.equal("string", type(session:get("token_info")))
    local token_info = cache.resty_session { session = session }:get_cached_token()
    assert.equal("BQC-1", token_info.access_token)
    assert.equal(9999999999, token_info.expires_at)
  end)

  it("lives no longer than its request, and says so", function()
    assert.is_true(cache.resty_session({ session = open() }).in_request)
    assert.is_nil(cache.from_store(require("tokencache").store.memory(), "a").in_request)
  end)

  it("loses nothing to the JSON of the session", function()
    local handler = cache.resty_session { session = open() }
    handler:save_token_to_cache { access_token = "a", list = json.array {}, id = 123456789012345 }
    local token_info = cache.resty_session { session = open() }:get_cached_token()
    assert.equal("[]", json.encode(token_info.list))
    assert.equal("123456789012345", json.encode(token_info.id))
  end)

  it("saves the session where it has changed, and only there", function()
    local session = open()
    local handler = cache.resty_session { session = session }
    handler:get_cached_token()
    assert.is_true(handler:remove_cached_token())
    assert.equal(0, session.saves)
    handler:save_token_to_cache(TOKEN)
    assert.equal(1, session.saves)
    assert.is_true(handler:remove_cached_token())
    assert.equal(2, session.saves)
    assert.is_nil(cache.resty_session { session = open() }:get_cached_token())
  end)

  it("reports a session that could not be saved", function()
    local handler = cache.resty_session { session = open { failure = "connection refused" } }
    local saved, err = handler:save_token_to_cache(TOKEN)
    assert.is_nil(saved)
    assert.equal("cache", err.kind)
    assert.equal("cache.resty_session: the session could not be saved: unable to store session "
      .. "data (connection refused)", err.message)
    assert.is_nil(cache.resty_session { session = open() }:get_cached_token())
  end)

  it("reports what is no text under its key", function()
    local session = open()
    session:set("token_info", { access_token = "a" })
    local token_info, err = cache.resty_session { session = session }:get_cached_token()
    assert.is_nil(token_info)
    assert.equal("token_info: the store's get returned a table; a string expected, or nil for a "
      .. "miss", err.message)
  end)

  it("lets a session yield while it is saved, and raise", function()
    local handler = cache.resty_session { session = open { yields = true } }
    local thread = coroutine.create(function() return handler:save_token_to_cache(TOKEN) end)
    assert.same({ true, "saving" }, { coroutine.resume(thread) })
    assert.same({ true, true }, { coroutine.resume(thread) })
    local session = open()
    session:close()
    handler = cache.resty_session { session = session }
    assert.error_matches(function() handler:get_cached_token() end, "on closed session")
  end)

  it("names what is missing", function()
    assert.error_matches(function() cache.resty_session() end,
      "cache.resty_session: session is required")
    local halved = { get = print, set = print }
    assert.error_matches(function() cache.resty_session { session = halved } end,
      "cache.resty_session: session has no method save")
  end)
end)
