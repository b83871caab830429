local keep_log = require "support.keep_log"
local lapis_session = require "support.lapis_session"
local log = require "tokencache.log"
local logins = require "support.logins"
local stages = require "support.stage"
local tokencache = require "tokencache"
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

  it("raises where the request has no session, and names no line of its own", function()
    local handler = tokencache_cache.django_session { request = {} }
    local flow = stages.new():flow { cache = handler }
    local _, message = pcall(function() return (flow:get_access_token()) end)
    assert.matches("^cache.django_session: request.session is nil; load the session", message)
  end)
end)

describe("a session with a lock", function()
  local LOGIN = logins.LOGIN
  local store, stage

  before_each(function()
    store, stage = tokencache.store.memory(), stages.new()
    logins.rotate(stage)
  end)

  after_each(function() log.set_logger(nil) end)

  --- The handler of one request, whose session is a copy of its own.
  local function request(info)
    local session = { token_info = info }
    return tokencache_cache.flask_session { session = session, lock = store }, session
  end

  local function get(handler, opts)
    return stage:user_flow({ cache = handler }):get_access_token(opts)
  end

  it("gives a token that another request of the browser has renewed, and keeps it", function()
    local first, session = request(LOGIN)
    assert.equal("access-1", get(first))
    assert.equal("refresh-2", session.token_info.refresh_token)
    local second, other = request(LOGIN)
    assert.equal("access-1", get(second))
    assert.equal("refresh-2", other.token_info.refresh_token)
    assert.equal("refresh-1", logins.sent(stage))
  end)

  it("renews the newest, whichever the session still has", function()
    assert.equal("access-1", get((request(LOGIN))))
    stage.now = 9000
    assert.equal("access-2", get((request(LOGIN))))
    stage.now = 12700
    assert.equal("access-3", get((request(LOGIN))))
    assert.equal("refresh-1 refresh-2 refresh-3", logins.sent(stage))
  end)

  it("takes the lock anew where another has renewed the token since it was taken", function()
    local other, handler = (request(LOGIN)), (request(LOGIN))
    local try_lock = store.try_lock
    function store:try_lock(...)
      store.try_lock = try_lock
      assert.equal("access-1", get(other))
      stage.now = 9000
      return try_lock(self, ...)
    end
    log.set_logger(false)
    assert.equal("access-2", get(handler))
    assert.equal("refresh-1 refresh-2", logins.sent(stage))
    assert.equal("access-2", get((request(LOGIN))))
  end)

  it("knows a provider that keeps its refresh tokens", function()
    logins.rotate(stage, { refresh_token = "refresh-1" })
    assert.equal("access-1", get((request(LOGIN))))
    assert.equal("access-1", get((request(LOGIN))))
    stage.now = 9000
    assert.equal("access-2", get((request(LOGIN))))
    assert.equal("access-2", get((request(LOGIN))))
    assert.equal(2, #stage.requests)
  end)

  it("does not bring back what was removed", function()
    local handler, session = request(LOGIN)
    assert.equal("access-1", get(handler))
    assert.is_true(stage:user_flow({ cache = handler }):remove())
    assert.is_nil(session.token_info)
    local old, other = request(LOGIN)
    logins.expect_reauthorize(get(old))
    assert.is_nil(other.token_info)
    assert.equal(1, #stage.requests)
  end)

  it("removes what is no token", function()
    log.set_logger(false)
    local handler, session = request("no token")
    assert.is_true(stage:user_flow({ cache = handler }):remove())
    assert.is_nil(session.token_info)
  end)

  it("gives a login of its own to nobody else", function()
    assert.equal("access-1", get((request(LOGIN))))
    local handler = request(LOGIN)
    assert.is_true(handler:save_token_to_cache { access_token = "new", authorized_at = 2000,
      refresh_token = "new", expires_at = 9000 })
    assert.equal("access-1", get((request(LOGIN))))
  end)

  it("sends nothing where the store fails", function()
    store.try_lock = function() return nil, "no route" end
    local token, err = get((request(LOGIN)))
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    store.get = store.try_lock
    token, err = get((request(LOGIN)))
    assert.is_nil(token)
    assert.equal("cache", err.kind)
    assert.equal(0, #stage.requests)
  end)

  it("wants a store with locks, and blames who gives another", function()
    local ok, problem = pcall(function()
      local _ = tokencache_cache.flask_session { session = {}, lock = { get = print, set = print } }
    end)
    assert.is_false(ok)
    assert.matches("session_spec.lua:%d+: cache.flask_session: lock must be a store with locks, "
      .. "such as store.redis; it has no method try_lock", problem)
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
