-- flow:exchange of a flow with many accounts: whose login it is, the program says by a key, or by a
-- function that is asked when the token has come.

local environment = require "tokencache.environment"
local errors = require "tokencache.error"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local redis_server = require "support.redis_server"
local settings = require "tokencache.nginx.settings"
local stages = require "support.stage"
local tokencache = require "tokencache"

after_each(function() log.set_logger(nil) end)

describe("a login at a real server", function()
  local server, redis, store, flow

  setup(function()
    server = oidc_provider.start()
    redis = redis_server.start()
  end)

  teardown(function()
    server:stop()
    redis:stop()
  end)

  before_each(function()
    store = tokencache.store.redis { port = redis.port }
    local all = server:options("confidential", { redirect_uri = "http://127.0.0.1:8123/callback",
      scope = "read", store = store, authorize = false })
    all.cache = nil
    flow = tokencache.flow.authorization_code(all)
  end)

  local function answer()
    local url, pending = flow:get_authorize_url()
    return server:login(url), pending
  end

  local function saved(key)
    return tokencache.cache.from_store(store, key):get_cached_token()
  end

  it("is kept at the key that was given, or that a function tells by the token", function()
    for name, key in pairs { anna = "anna", ["users:ben"] = { "users", "ben" } } do
      local url, pending = answer()
      local info = assert(flow:exchange(url, pending, key))
      assert.same(info, saved(name))
      assert.equal(info.access_token, flow:account(key):get_access_token())
      url, pending = answer()
      local seen
      local other = assert(flow:exchange(url, pending, function(came)
        seen = came
        return key
      end))
      assert.equal("read", seen.scope)
      assert.equal(other.access_token, seen.access_token)
      assert.same(other, saved(name))
      assert.equal(other.access_token, flow:account(key):get_access_token())
    end
  end)

  it("of which the program wants nothing is revoked, and kept nowhere", function()
    redis:cli("FLUSHALL")
    for wanted, key_of in pairs {
      ["the key's function returned no key; "] = function() end,
      ["the key's function returned no key: not one of ours; "] = function()
        return nil, "not one of ours"
      end,
      ["the key's function returned no key: nobody's; "] = function() return false, "nobody's" end,
      ["the key's function raised: no such table; "] = function() error("no such table", 0) end,
      ["key must be a string that is not empty"] = function() return "" end,
      ["a list as key must hold strings and nothing else"] = function() return { 1 } end,
    } do
      local token
      local url, pending = answer()
      local info, err = flow:exchange(url, pending, function(came)
        token = came.access_token
        return key_of()
      end)
      assert.is_nil(info)
      assert.equal("config", err.kind)
      assert.matches(wanted, tostring(err), 1, true)
      assert.matches("; the login was revoked$", tostring(err))
      assert.is_falsy(tostring(err):find(token, 1, true))
      assert.is_false(server:introspect(token).active)
      assert.equal("0", redis:cli("DBSIZE"))
    end
  end)

  it("is not shown where the function tells its tokens in what it raises or returns", function()
    for _, end_with in ipairs { function(text) error(text, 0) end,
      function(text) return nil, text end,
      function(text) return nil, errors.new("denied", text) end } do
      local url, pending = answer()
      local tokens
      local _, err = flow:exchange(url, pending, function(came)
        tokens = { came.access_token, came.refresh_token }
        came.access_token, came.refresh_token = nil, nil
        return end_with("bad " .. table.concat(tokens, " and "))
      end)
      assert.matches("bad %*+ and %*+; the login was", tostring(err))
      for _, token in ipairs(tokens) do
        assert.is_nil(tostring(err):find(token, 1, true))
      end
    end
  end)

  it("keeps the kind of an error that the function gives as its reason", function()
    local url, pending = answer()
    local _, err = flow:exchange(url, pending, function()
      return nil, errors.new("transient", "the directory is away")
    end)
    assert.equal("transient", err.kind)
    assert.equal("exchange: the directory is away; the login was revoked", tostring(err))
  end)

  it("is refused before the function is asked where the answer is not the user's", function()
    local asked = 0
    local function key_of()
      asked = asked + 1
      return "anna"
    end
    local url, pending = answer()
    local info, err = flow:exchange(url:gsub("state=", "state=x"), pending, key_of)
    assert.is_nil(info)
    assert.equal("state", err.kind)
    assert(flow:exchange(url, pending, key_of))
    info, err = flow:exchange(url, pending, key_of)
    assert.is_nil(info)
    assert.equal("state", err.kind)
    assert.equal(1, asked)
  end)

  it("may have a function that yields, also on Lua 5.1", function()
    local url, pending = answer()
    local info
    local thread = coroutine.create(function()
      info = assert(flow:exchange(url, pending, function(came)
        return coroutine.yield(came.access_token)
      end))
    end)
    local ok, token = coroutine.resume(thread)
    assert(ok, token)
    assert(coroutine.resume(thread, "carl"))
    assert.equal(token, info.access_token)
    assert.equal(token, saved("carl").access_token)
  end)
end)

describe("a login whose key a function tells", function()
  local stage, store, flow

  before_each(function()
    stage, store = stages.new(), tokencache.store.memory()
    logins.rotate(stage)
    flow = stage:user_flow { store = store }
  end)

  local function exchange(key)
    local url, pending = flow:get_authorize_url()
    return flow:exchange(stages.REDIRECT_URI .. "?code=c&state=" .. url:match("state=([^&]+)"),
      pending, key)
  end

  local function anna()
    return "anna"
  end

  --- From now on the store is one that cannot show whether it takes a new entry.
  local function show_no_room()
    local all = store
    store = {}
    for _, name in ipairs { "get", "set", "delete", "replace", "try_lock", "unlock" } do
      store[name] = function(_, ...) return all[name](all, ...) end
    end
    flow = stage:user_flow { store = store }
  end

  it("is saved under the lock of its account, which is taken after the request", function()
    local handle, seen
    local replace = store.replace
    function store.replace(...)
      seen = store:try_lock("anna", 10)
      return replace(...)
    end
    stage.on.request = function()
      handle = store:try_lock("anna", 10)
      store:unlock(handle)
      return stages.answer { access_token = "access-1", refresh_token = "r", expires_in = 3600 }
    end
    assert(exchange(anna))
    assert.is_table(handle)
    assert.is_false(seen)
    assert.is_table(store:try_lock("anna", 10))
  end)

  it("is finished without a lock that another keeps, after half of the time", function()
    assert(store:try_lock("anna", 1000))
    local logged = keep_log()
    assert(exchange(anna))
    assert.equal("access-1", flow:account("anna"):get_access_token())
    assert.matches("warning the login is finished without the cache's lock: another keeps it",
      table.concat(logged, "\n"), 1, true)
  end)

  it("gives way to a log out while it waits for the lock, and not to one before", function()
    local cache, logs_out = tokencache.cache.from_store(store, "anna"), false
    local mark = ("out %d"):format(stage.now + 100) -- by a clock that is ahead
    log.set_logger(false)
    assert(cache:set_mark(mark, 1000))
    local handle = store:try_lock("anna", 1000)
    stage.on.sleep = function()
      if stage.monotonic > 56 then
        store:unlock(handle)
      end
      if logs_out then
        cache:set_mark(mark .. ".5", 1000)
      end
    end
    assert(exchange(anna))
    assert.equal("access-1", cache:get_cached_token().access_token)
    handle, logs_out = store:try_lock("anna", 1000), true
    cache:remove_cached_token()
    stage.monotonic = 50
    logins.expect_reauthorize(exchange(anna))
    assert.is_nil(cache:get_cached_token())
  end)

  it("is not given up by another call while it is being saved", function()
    local logged, replace = keep_log(), store.replace
    function store.replace(...)
      store.replace = replace
      tokencache.cache.from_store(store, "anna"):set_mark(("out %d"):format(stage.now + 1), 1000)
      logins.expect_reauthorize(flow:account("anna"):get_access_token())
      return replace(...)
    end
    assert.equal("access-1", assert(exchange(anna)).access_token)
    assert.matches("access%-1", store:get("anna"))
    assert.is_nil(table.concat(logged, "\n"):find("warning", 1, true))
  end)

  it("is not given up to the login before by a clock that was put back, while it waits", function()
    local logged, handle = keep_log(), store:try_lock("anna", 1000)
    logins.rotate(stage, { access_token = "new" })
    local cache = tokencache.cache.from_store(store, "anna")
    assert(cache:save_token_to_cache(logins.LOGIN))
    stage.now, stage.on.sleep = 400, function() -- the former login was at 500
      stage.on.sleep = nil
      assert.equal("new", flow:account("anna"):get_access_token())
      store:unlock(handle)
    end
    assert.equal("new", assert(exchange(anna)).access_token)
    assert.equal("new", assert(cache:get_cached_token()).access_token)
    assert.same({}, logged)
  end)

  it("is not given up so by another worker of an nginx either", function()
    local entries, logged = {}, keep_log()
    environment.nginx, settings.owed = {}, { -- of the virtual nginx
      get = function(_, name) return entries[name] end,
      safe_set = function(_, name, text)
        entries[name] = text
        return true
      end,
      delete = function(_, name) entries[name] = nil end,
    }
    finally(function() environment.nginx, settings.owed = nil, nil end)
    store.identity = "what the workers share"
    local other, handle = stages.new(), store:try_lock("anna", 1000)
    log.set_logger(function(...) logged[#logged + 1] = table.concat({ ... }, " ") end)
    logins.rotate(stage, { access_token = "new" })
    local cache = tokencache.cache.from_store(store, "anna")
    assert(cache:save_token_to_cache(merged(logins.LOGIN, { expires_at = 410 })))
    stage.now, other.now, stage.on.sleep = 400, 400, function()
      stage.on.sleep = nil
      local account = other:user_flow { store = store }:account("anna")
      assert.equal("new", account:get_access_token { timeout = 0.01 })
      store:unlock(handle)
    end
    assert.equal("new", assert(exchange(anna)).access_token)
    assert.equal("new", assert(cache:get_cached_token()).access_token)
  end)

  it("takes the place of who was logged in there before, and of what is owed there", function()
    local broken = true
    local set, replace = store.set, store.replace
    function store.set(...)
      if broken then return nil, "the disk is full" end
      return set(...)
    end
    function store.replace(...)
      if broken then return nil, "the disk is full" end
      return replace(...)
    end
    stage.io.now = function() return stage.now end
    log.set_logger(false)
    assert.equal("access-1", exchange(anna).access_token)
    assert.equal("access-1", flow:account("anna"):get_access_token())
    stage.now, stage.on.request = stage.now + 4000, stages.refuse
    flow:account("anna"):get_access_token { timeout = 1 } -- what is owed keeps the lock from now on
    logins.rotate(stage, { access_token = "access-2" })
    stage.slept = {}
    assert.equal("access-2", exchange(anna).access_token)
    assert.same({}, stage.slept)
    assert.equal("access-2", flow:account("anna"):get_access_token())
    broken = false
    assert.equal("access-2", flow:account("anna"):get_access_token())
    assert.matches("access%-2", store:get("anna"))
    assert.equal(0, stage.io.process.owing)
    assert.is_table(store:try_lock("anna", 10))
  end)

  it("is saved before another call renews it, where the store cannot show that it can", function()
    show_no_room()
    local handle, saved = store:try_lock("anna", 1000), nil
    local give = stage.on.request
    function stage.on.sleep()
      function stage.on.sleep()
        store:unlock(handle)
      end
      function stage.on.request(request)
        saved = store:get("anna")
        return give(request)
      end
      assert.equal("access-2", flow:account("anna"):get_access_token { check_cache = false })
    end
    assert.equal("access-1", assert(exchange(anna)).access_token)
    assert.matches("access%-1", saved)
    assert.matches("access%-2", store:get("anna"))
  end)

  it("is over once there is a later one, also for what was renewed of it", function()
    show_no_room()
    local replace = store.replace
    function store.replace() return nil, "the disk is full" end
    log.set_logger(false)
    assert(exchange(anna))
    stage.now = stage.now + 4000
    local give = stage.on.request
    local later = merged(logins.NEWER, { authorized_at = stage.now, refresh_token = "later" })
    function stage.on.request(request)
      store.replace = replace
      assert(tokencache.cache.from_store(store, "anna"):save_token_to_cache(later))
      return give(request)
    end
    flow:account("anna"):get_access_token()
    assert.matches("newer", store:get("anna"))
    assert.equal(0, stage.io.process.owing)
  end)

  it("says what the provider said where there is no token, and asks for no key", function()
    stage.on.request = function() return stages.answer({ error = "invalid_grant" }, 400) end
    local info, err = exchange(function() error("asked") end)
    assert.is_nil(info)
    assert.equal("reauthorize", err.kind)
  end)

  it("is given up where the provider cannot revoke, and the message says so", function()
    local info, err = exchange(function() end)
    assert.is_nil(info)
    assert.equal("exchange: the key's function returned no key; the login was given up",
      tostring(err))
    assert.equal(1, #stage.requests)
  end)

  it("tells where it could not be revoked", function()
    flow = stage:user_flow { store = store, provider = {
      token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
      revocation_url = "https://login.example/revoke",
    } }
    local token = stage.on.request
    stage.on.request = function(request)
      if request.url:find("revoke", 1, true) then
        return stages.answer({}, 503)
      end
      return token(request)
    end
    local info, err = exchange(function() end)
    assert.is_nil(info)
    assert.equal("config", err.kind)
    assert.matches("the login was not revoked: the provider did not revoke the refresh token: "
      .. "status 503", tostring(err), 1, true)
  end)
end)

