-- A log out with store, lock and provider played: how long it takes, what it sends, what it leaves.

local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local logins = require "support.logins"
local merged = require "support.merged"
local new_table_store = require "support.table_store"
local stages = require "support.stage"
local tokencache = require "tokencache"

after_each(function() log.set_logger(nil) end)

describe("a log out", function()
  local REVOKE = "https://login.example/revoke"
  local stage, flow, answers

  --- What was sent to the provider, but for requests for tokens.
  local function revoked()
    local bodies = {}
    for _, request in ipairs(stage.requests) do
      if request.url == REVOKE then
        assert.equal("POST", request.method)
        bodies[#bodies + 1] = request.body
      end
    end
    return table.concat(bodies, " ")
  end

  local function new_flow(options)
    return stage:user_flow(merged({ provider = {
      token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
      revocation_url = REVOKE,
    } }, options))
  end

  before_each(function()
    stage = stages.new { token_info = merged(logins.LOGIN, { expires_at = 5000 }), lock = true }
    logins.rotate(stage)
    answers = {}
    local token = stage.on.request
    stage.on.request = function(request)
      if request.url ~= REVOKE then
        return token(request)
      end
      local answer = table.remove(answers, 1) or { status = 200 }
      return answer.status and answer, answer.status and nil or answer
    end
    flow = new_flow()
  end)

  local BOTH = "token=refresh-1&token_type_hint=refresh_token "
    .. "token=old&token_type_hint=access_token"

  it("removes the login, then revokes the refresh token, and the access token last", function()
    assert.same({ true }, { flow:log_out() })
    assert.equal(BOTH, revoked())
    assert.equal("load try_lock load remove unlock request request", stage:acts())
    assert.matches("^Basic ", stage.requests[1].headers.Authorization)
    assert.is_nil(stage.stored)
  end)

  it("takes place here whatever the provider says, and tells the caller", function()
    for kind, answer in pairs {
      transient = { status = 503 }, config = { status = 401, body = '{"error":"invalid_client"}' },
      denied = { status = 400, body = '{"error":"unsupported_token_type"}' },
    } do
      stage.stored = logins.LOGIN
      answers = { answer }
      local ok, err = flow:log_out()
      assert.is_true(ok)
      assert.equal(kind, err.kind)
      assert.equal(answer.status, err.status)
      assert.is_nil(stage.stored)
    end
    stage.stored, answers = logins.LOGIN, { { kind = "transient", message = "no connection" } }
    local ok, err = flow:log_out()
    assert.is_true(ok)
    assert.equal("transient no connection", err.kind .. " " .. tostring(err))
    assert.is_nil(stage.stored)
  end)

  it("removes what is here where the provider cannot revoke", function()
    assert.same({ true }, { stage:user_flow():log_out() })
    assert.is_nil(stage.stored)
    assert.equal(0, #stage.requests)
  end)

  it("leaves a mark that lives for a day", function()
    for _, method in ipairs { "remove", "log_out" } do
      local store = new_table_store()
      local account = new_flow({ store = store }):account("ann")
      assert.same({ true }, { account[method](account) })
      assert.equal(24 * 60 * 60, store.ttls["tokencache-mark:ann"])
    end
  end)

  it("is of no matter where nobody is logged in", function()
    stage.stored = nil
    assert.same({ true }, { flow:log_out() })
    assert.same({ true }, { flow:remove() })
    assert.equal(0, #stage.requests)
  end)

  it("tells the provider nothing where the entry cannot be removed", function()
    stage.on.remove = logins.fail
    local ok, err = flow:log_out()
    assert.is_nil(ok)
    assert.equal("cache the login could not be removed, so it was not revoked either: "
      .. "the disk is full", err.kind .. " " .. tostring(err))
    assert.equal("", revoked())
    assert.equal("old", flow:get_access_token())
  end)

  it("removes what is no token, but nothing where the handler cannot be read", function()
    for _, method in ipairs { "log_out", "remove" } do
      for _, read in ipairs { {}, { logins.LOGIN } } do
        stage.on.load = function() return read[1], "the database is away" end
        local ok, err = flow[method](flow)
        assert.is_nil(ok)
        assert.equal("cache", err.kind)
        assert.matches("the database is away", tostring(err), 1, true)
      end
    end
    assert.equal("", revoked())
    assert.is_table(stage.stored)
    stage.on.load = function() return 42 end
    assert.same({ true }, { flow:log_out() })
    assert.is_nil(stage.stored)
  end)

  it("revokes what was removed though the one before said that it could not be", function()
    function stage.on.remove()
      stage.stored = nil
      return nil, "the reply was lost"
    end
    assert.is_nil(flow:log_out())
    stage.on.remove = nil
    assert.same({ true }, { flow:log_out() })
    assert.equal(BOTH, revoked())
  end)

  it("revokes what another process has renewed since this one did", function()
    stage.now = 6000
    assert.equal("access-1", flow:get_access_token())
    stage.stored = merged(stage.stored, { access_token = "theirs", refresh_token = "refresh-9" })
    assert.same({ true }, { flow:log_out() })
    assert.equal("token=refresh-9&token_type_hint=refresh_token "
      .. "token=theirs&token_type_hint=access_token", revoked())
  end)

  it("revokes the successor where the store has brought a spent token back", function()
    stage.now = 6000
    assert.equal("access-1", flow:get_access_token())
    stage.stored = logins.LOGIN
    assert.same({ true }, { flow:log_out() })
    assert.matches("^token=refresh%-2&", revoked())
  end)

  it("waits for half of its time for the lock, and then does without", function()
    stage.holder = {}
    local logged = keep_log()
    assert.same({ true }, { flow:log_out { timeout = 4 } })
    local seconds = 0
    for _, pause in ipairs(stage.slept) do
      seconds = seconds + pause
    end
    assert.is_true(seconds > 1 and seconds <= 2, seconds)
    assert.is_nil(stage.stored)
    assert.same({}, logged)
  end)

  it("leaves a login that is made while it waits for the lock or for the provider", function()
    local later = merged(logins.LOGIN, { access_token = "later", authorized_at = 5000 })
    local function log_in()
      stage.stored = later
    end
    stage.holder = {}
    for _, method in ipairs { "remove", "log_out" } do
      stage.stored, stage.on.sleep = logins.LOGIN, log_in
      assert.same({ true }, { flow[method](flow) })
      assert.same(later, stage.stored)
      assert.equal("", revoked())
    end
    stage.on.sleep = nil
    stage.stored, stage.on.request = logins.LOGIN, function()
      log_in()
      return { status = 200 }
    end
    assert.same({ true }, { flow:log_out() })
    assert.same(later, stage.stored)
    assert.equal(BOTH, revoked())
  end)

  it("does not revoke a login that is saved once more when its time is over", function()
    local store = tokencache.store.memory()
    local cache = tokencache.cache.from_store(store, "ann")
    local login = merged(logins.LOGIN, { access_token = "new", authorized_at = 1000 })
    local replace = store.replace
    stage.now = 1000.7
    assert(cache:save_token_to_cache(logins.LOGIN))
    function store.try_lock()
      assert(cache:save_token_to_cache(login))
      return false
    end
    function store.replace(...)
      local removed = replace(...)
      stage.monotonic = stage.monotonic + 60
      assert(cache:save_token_to_cache(login))
      return removed
    end
    assert.same({ true }, { new_flow({ store = store }):account("ann"):log_out() })
    assert.equal("new", cache:get_cached_token().access_token)
    assert.equal("", revoked())
  end)

  it("leaves a login of the same second where it goes on when its time is over", function()
    stage.now = 1000.7
    local first = merged(logins.LOGIN, { authorized_at = 1000 })
    local later = merged(first, { access_token = "later" })
    for _, there in ipairs { first, later } do
      stage.stored = first
      stage.on.try_lock = function()
        stage.monotonic, stage.stored = stage.monotonic + 60, there
        return false
      end
      assert.same({ true }, { flow:remove() })
      assert.equal(there == later and later or nil, stage.stored)
    end
  end)

  describe("whose caller has been told the end", function()
    before_each(function()
      stage.io.after = function(seconds, fn) return stage:play("after", seconds, fn) end
      stage.now = 1000.7
      stage.on.sleep = function() stage.monotonic = stage.monotonic + 60 end
      local ok, err = new_flow():remove()
      assert.is_nil(ok)
      assert.equal("timeout", err.kind)
      stage:acts()
    end)

    it("leaves a login that its first read finds", function()
      local later = merged(logins.LOGIN, { access_token = "later", authorized_at = 1000 })
      stage.stored = later
      stage.timers[1].fn()
      assert.equal("load try_lock load unlock", stage:acts())
      assert.equal(later, stage.stored)
    end)

    it("removes nothing where it finds nothing, as a login may come just then", function()
      stage.stored = nil
      stage.timers[1].fn()
      assert.equal("load try_lock load unlock", stage:acts())
    end)
  end)

  it("tells the provider after its caller's end, too, and the log where that fails", function()
    stage.io.after = function(seconds, fn) return stage:play("after", seconds, fn) end
    stage.on.sleep = function() stage.monotonic = stage.monotonic + 60 end
    local logged = keep_log()
    for i = 1, 2 do
      stage.stored, stage.requests = logins.LOGIN, {}
      local ok, err = new_flow():log_out()
      assert.same({ nil, "timeout" }, { ok, err.kind })
      stage.timers[i].fn()
      assert.is_nil(stage.stored)
      assert.equal(BOTH, revoked())
      answers = { { status = 200 }, { status = 503 } }
    end
    assert.equal(1, #logged)
    assert.matches("^warning the login is removed, but: .* status 503", logged[1])
  end)

  it("removes a login of the same second for who waits, however long the first read takes",
    function()
      stage.now = 1000.7
      stage.stored = merged(logins.LOGIN, { authorized_at = 1000 })
      stage.on.load = function()
        stage.on.load, stage.monotonic = nil, stage.monotonic + 60
        return stage.stored
      end
      assert.same({ true }, { flow:remove() })
      assert.is_nil(stage.stored)
    end)

  it("takes a renewal by a program that keeps no time of the login for no login", function()
    stage.holder = {}
    stage.on.sleep = function()
      stage.stored = { access_token = "theirs", refresh_token = "refresh-1", expires_at = 9000,
        scope = "a b" }
    end
    assert.same({ true }, { flow:log_out() })
    assert.is_nil(stage.stored)
    assert.equal("token=refresh-1&token_type_hint=refresh_token "
      .. "token=theirs&token_type_hint=access_token", revoked())
  end)

  it("takes no longer than it may, however slow the provider is", function()
    local timeouts = {}
    local answer = stage.on.request
    stage.on.request = function(request)
      timeouts[#timeouts + 1] = request.timeout
      stage.monotonic = stage.monotonic + 3
      return answer(request)
    end
    assert.same({ true }, { flow:log_out { timeout = 8 } })
    assert.same({ 8, 5 }, timeouts)
    stage.stored, timeouts = logins.LOGIN, {}
    local ok, err = flow:log_out { timeout = 3 }
    assert.is_true(ok)
    assert.equal("timeout there was no time left to ask https://login.example/revoke",
      err.kind .. " " .. tostring(err))
    assert.same({ 3 }, timeouts)
  end)

  it("says what is wrong with the call", function()
    for _, method in ipairs { "log_out", "remove" } do
      assert.error_matches(function() flow[method](flow, { timeout = 0 }) end,
        method .. ": timeout must be a number above zero, not 0")
      assert.error_matches(function() flow[method]() end,
        method .. ": call it on a flow, with a colon")
    end
    stage.handler.remove_cached_token = nil
    assert.error_matches(function() flow:log_out() end,
      "log_out: the cache handler has no remove_cached_token")
    local store = { get = function() end, set = function() end }
    local account = new_flow({ store = store }):account "anna"
    assert.error_matches(function() account:log_out() end,
      "log_out: the store has no method delete")
  end)

  it("sends tokens to no address that others can listen at", function()
    for url, problem in pairs {
      ["http://login.example/revoke"] = "must be https, or http on a loopback address",
      ["https://login.example/revoke#x"] = "must not have a fragment",
      ["login.example"] = "provider: revocation_url: ",
    } do
      for _, name in ipairs { "user_flow", "flow" } do
        local ok, err = pcall(stage[name], stage, { provider = {
          token_url = "https://login.example/token",
          authorize_url = "https://login.example/authorize", revocation_url = url } })
        assert.is_false(ok)
        assert.matches("revocation_url", err, 1, true)
        assert.matches(problem, err, 1, true)
      end
    end
    assert(new_flow { provider = { token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize",
      revocation_url = "http://127.0.0.1:8080/revoke" } })
  end)
end)
