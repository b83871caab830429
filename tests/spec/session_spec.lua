local keep_log = require "support.keep_log"
local lapis_session = require "support.lapis_session"
local log = require "tokencache.log"
local tokencache_cache = {
  django_session = require "tokencache.cache.django_session",
  flask_session = require "tokencache.cache.flask_session",
}

local TOKEN = { access_token = "BQC-1", expires_at = 1760003600, nested = { list = { 1 } } }

--- How each handler is made over one and the same session.
local makers = {
  django_session = function(session)
    return tokencache_cache.django_session { request = { session = session } }
  end,
  flask_session = function(session)
    return tokencache_cache.flask_session { session = session }
  end,
}

for name, make in pairs(makers) do
  describe("cache." .. name, function()
    it("keeps the table itself under token_info", function()
      local session = { other = "stays" }
      local handler = make(session)
      assert.is_true(handler:save_token_to_cache(TOKEN))
      assert.equal(TOKEN, session.token_info)
      assert.equal(TOKEN, handler:get_cached_token())
      assert.equal("stays", session.other)
    end)

    it("lives no longer than its request, and says so", function()
      assert.is_true(make({}).in_request)
    end)

    it("reads what the framework loaded", function()
      assert.equal(TOKEN, make({ token_info = TOKEN }):get_cached_token())
    end)

    it("takes a missing key for a miss, at debug level", function()
      local lines = keep_log()
      finally(function() log.set_logger(nil) end)
      assert.same({ n = 1 }, { n = select("#", make({}):get_cached_token()) })
      assert.is_nil(make({}):get_cached_token())
      assert.equal("debug cache." .. name .. ": no token is cached", lines[1])
    end)

    it("assigns at every save, so that the session knows that it changed", function()
      local stored, assignments = {}, 0
      local session = setmetatable({}, {
        __index = stored,
        __newindex = function(_, key, value)
          assignments = assignments + 1
          stored[key] = value
        end,
      })
      local handler = make(session)
      handler:save_token_to_cache(TOKEN)
      local cached = handler:get_cached_token()
      handler:save_token_to_cache(cached)
      assert.equal(2, assignments)
      assert.equal(TOKEN, stored.token_info)
      handler:remove_cached_token()
      assert.equal(3, assignments)
      assert.is_nil(handler:get_cached_token())
    end)

    it("works over a userdata", function()
      local stored = {}
      local session = io.tmpfile()
      local original = debug.getmetatable(session)
      finally(function()
        debug.setmetatable(session, original)
        session:close()
      end)
      debug.setmetatable(session, {
        __index = stored,
        __newindex = function(_, key, value) stored[key] = value end,
      })
      local handler = make(session)
      handler:save_token_to_cache(TOKEN)
      assert.equal(TOKEN, stored.token_info)
      assert.equal(TOKEN, handler:get_cached_token())
    end)

    it("removes the token, also where there is none", function()
      local session = { token_info = TOKEN }
      local handler = make(session)
      assert.is_true(handler:remove_cached_token())
      assert.is_nil(session.token_info)
      assert.is_true(handler:remove_cached_token())
    end)

    for what, value in pairs { ["a string"] = "SECRET", ["a number"] = 1, ["a boolean"] = false } do
      it("fails, naming the key, where there is " .. what, function()
        local token_info, err = make({ token_info = value }):get_cached_token()
        assert.is_nil(token_info)
        assert.equal("cache", err.kind)
        assert.equal("cache." .. name .. ': session["token_info"] holds ' .. what
          .. " instead of a token_info table; remove it, or keep it under another key",
          tostring(err))
      end)
    end

    it("refuses to save what is no table", function()
      local session = {}
      local saved, err = make(session):save_token_to_cache("SECRET")
      assert.is_nil(saved)
      assert.equal("cache", err.kind)
      assert.is_nil(tostring(err):find("SECRET", 1, true))
      assert.is_nil(next(session))
    end)

    it("lets through what the session raises", function()
      local function fail()
        error("the session store is down")
      end
      local handler = make(setmetatable({}, { __index = fail, __newindex = fail }))
      assert.error_matches(function() handler:get_cached_token() end, "is down")
      assert.error_matches(function() handler:save_token_to_cache(TOKEN) end, "is down")
      assert.error_matches(function() handler:remove_cached_token() end, "is down")
    end)

    it("names an option that is missing or wrong", function()
      local option = name == "django_session" and "request" or "session"
      local new = tokencache_cache[name]
      assert.error_matches(function() new() end, name .. ": " .. option .. " is required")
      assert.error_matches(function() new { [option] = "x" } end, option .. " must be a table")
      assert.error_matches(function() new { cookie = {} } end, "unknown option cookie")
    end)
  end)
end

describe("cache.django_session", function()
  it("looks the session up at each call", function()
    local request = { session = { token_info = TOKEN } }
    local handler = tokencache_cache.django_session { request = request }
    assert.equal(TOKEN, handler:get_cached_token())
    request.session = {}
    assert.is_nil(handler:get_cached_token())
    handler:save_token_to_cache(TOKEN)
    assert.equal(TOKEN, request.session.token_info)
  end)

  it("raises where the request has no session", function()
    local handler = tokencache_cache.django_session { request = {} }
    assert.error_matches(function() handler:get_cached_token() end, "request.session is nil")
  end)
end)

describe("cache.flask_session over a session of Lapis", function()
  local request

  before_each(function() request = { cookies = {} } end)

  --- One request; returns what `handle` does, and whether the cookie was written.
  local function serve(handle)
    local session = lapis_session.lazy(request)
    local result = handle(tokencache_cache.flask_session { session = session }, session)
    return result, lapis_session.write(session)
  end

  local function get(handler)
    return (handler:get_cached_token())
  end

  it("keeps a token from request to request", function()
    serve(function(handler, session)
      session.user = "alice"
      handler:save_token_to_cache(TOKEN)
    end)
    local token_info, written = serve(get)
    assert.same(TOKEN, token_info)
    assert.is_false(written)
    serve(function(handler) handler:save_token_to_cache { access_token = "BQC-2" } end)
    assert.equal("BQC-2", serve(get).access_token)
    assert.equal("alice", serve(function(_, session) return session.user end))
  end)

  it("removes it", function()
    serve(function(handler) handler:save_token_to_cache(TOKEN) end)
    serve(function(handler) handler:remove_cached_token() end)
    assert.is_nil((serve(get)))
  end)
end)
