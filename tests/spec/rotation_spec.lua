-- Refresh at a real server that takes each refresh token once: a second use ends the login.

local log = require "tokencache.log"
local oidc_provider = require "support.oidc_provider"
local rotation = require "support.rotation"
local suite = require "support.suite"
local tokencache = require "tokencache"

describe("a login in the hands of processes that die, over a cache that fails", function()
  it("is lost only with the process that alone knew it", function()
    local seed = tonumber(os.getenv("ROTATION_SEED")) or os.time() % 1000000 + 1
    local report = rotation.run { seed = seed, refreshes = suite.is_sanitized and 20 or 100 }
    print("# " .. rotation.describe(report) .. "; ROTATION_SEED sets the seed")
    assert.same({}, report.surprises)
    assert.equal(0, report.otherwise)
    assert.is_true(report.kills > 0 and report.refreshes >= 20)
  end)
end)

describe("a real login", function()
  local server, now

  setup(function() server = oidc_provider.start() end)
  teardown(function() server:stop() end)
  before_each(function() now = os.time() end)
  after_each(function() log.set_logger(nil) end)

  --- A flow that has just logged in.
  local function logged_in(options)
    local all = server:options("confidential", {
      redirect_uri = "http://127.0.0.1:8080/callback",
      scope = "read",
      clock = function() return now end,
      authorize = false,
    }, options or {})
    local flow = tokencache.flow.authorization_code(all)
    local url, pending = flow:get_authorize_url()
    assert(flow:exchange(server:login(url), pending))
    return flow, all.cache
  end

  --- How many requests by refresh token the server has had while `act` ran.
  local function refreshes(act)
    local before = server:counts().refresh_token or 0
    act()
    return (server:counts().refresh_token or 0) - before
  end

  it("is renewed once, by a token that changes", function()
    local flow, cache = logged_in()
    local first = cache:get_cached_token()
    now = now + 4000
    assert.equal(1, refreshes(function()
      assert.not_equal(first.access_token, assert(flow:get_access_token()))
      assert(flow:get_access_token())
    end))
    local second = cache:get_cached_token()
    assert.not_equal(first.refresh_token, second.refresh_token)
    assert.equal(first.authorized_at, second.authorized_at)
    assert.equal("read", second.scope)
  end)

  it("revoked at the server is found dead by one request, and removed", function()
    local flow, cache = logged_in()
    server:revoke(cache:get_cached_token().refresh_token)
    now = now + 4000
    assert.equal(1, refreshes(function()
      for _ = 1, 3 do
        local token, err = flow:get_access_token()
        assert.is_nil(token)
        assert.equal("reauthorize", err.kind)
      end
    end))
    assert.is_nil(cache:get_cached_token())
  end)

  it("revoked at the server stays under on_invalid_grant = keep", function()
    local flow, cache = logged_in { on_invalid_grant = "keep" }
    local info = cache:get_cached_token()
    server:revoke(info.refresh_token)
    now = now + 4000
    assert.equal(1, refreshes(function()
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("reauthorize", err.kind)
    end))
    assert.equal(info.refresh_token, cache:get_cached_token().refresh_token)
  end)

  it("lives through a server in trouble", function()
    local flow, cache = logged_in()
    local info = cache:get_cached_token()
    now = now + 4000
    log.set_logger(false)
    for _, status in ipairs { 500, 502 } do
      server:next_token { status = status, error = "invalid_grant" }
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("transient", err.kind)
      assert.equal(info.refresh_token, cache:get_cached_token().refresh_token)
    end
    assert(flow:get_access_token())
  end)

  it("that several flows renew at once is renewed once where the cache has a lock", function()
    local flow, cache = logged_in()
    local held, waits = false, 0
    local handler = {
      get_cached_token = function() return cache:get_cached_token() end,
      save_token_to_cache = function(_, info) return cache:save_token_to_cache(info) end,
      try_lock = function()
        if held then
          waits = waits + 1
          return false
        end
        held = true
        return "handle"
      end,
      unlock = function() held = false end,
    }
    local curl = require("tokencache.transport.curl").new {}
    local io = { sleep = coroutine.yield }
    local threads = {}
    for i = 1, 4 do
      local other = tokencache.flow.authorization_code {
        provider = server.provider, client_id = flow.client_id,
        client_secret = server.clients.confidential.client_secret,
        redirect_uri = "http://127.0.0.1:8080/callback", scope = "read", cache = handler,
        clock = function() return now end, authorize = false, io = io,
        http = { request = function(_, request)
          coroutine.yield()
          return curl:request(request)
        end },
      }
      threads[i] = coroutine.create(function() return other:get_access_token() end)
    end
    now = now + 4000
    local tokens = {}
    assert.equal(1, refreshes(function()
      while #threads > 0 do
        for i = #threads, 1, -1 do
          local ok, token, err = coroutine.resume(threads[i])
          assert(ok, token)
          if coroutine.status(threads[i]) == "dead" then
            tokens[assert(token, tostring(err))] = true
            table.remove(threads, i)
          end
        end
      end
    end))
    assert.is_true(waits > 0)
    assert.same({ [cache:get_cached_token().access_token] = true }, tokens)
  end)
end)
