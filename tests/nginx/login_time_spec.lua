-- What time does to the sessions of tokencache.nginx.login: tokens end and are renewed, sessions
-- end; and the provider may be away just then.

local login_scene = require "support.login_scene"
local process = require "support.process"

local HOUR = 3600
local REQUESTS = 50 -- while the provider is away

describe("a session of tokencache.nginx.login", function()
  local scene = login_scene()

  local function await_end(browser)
    process.wait_until("the session to end", function() return browser:user() == nil end)
  end

  --- Leaves the token so many seconds, as if it had been issued long ago.
  local function shorten(browser, seconds)
    scene.gateway:change_entry(browser,
      { expires_at = os.time() + seconds, expires_in = HOUR })
    scene.gateway:advance(1.1) -- no worker remembers it
  end

  it("ends with its lifetime, also in the store", function()
    local gateway = scene.start { lifetime = 100 }
    local browser = scene.log_in("alice")
    assert.equal("alice", browser:user())
    local session = browser.cookies.tokencache
    gateway:advance(101)
    assert.is_nil(browser:user())
    browser.cookies.tokencache = session
    assert.is_nil(gateway:entry(browser))
    assert.is_nil(gateway:files():find("session-use", 1, true))
  end)

  it("ends when it was not used for so long, and every use counts", function()
    local gateway = scene.start { idle_timeout = 10 }
    local browser = scene.log_in("alice")
    local path = gateway.server.directory .. "/sessions/"
      .. gateway:files():match("session%-use%S+")
    local first = process.read_file(path)
    process.wait_until("a use to be noted", function()
      assert.equal("alice", browser:user())
      return process.read_file(path) ~= first
    end)
    process.write_file(path, tostring(os.time() - 11))
    await_end(browser)
    assert.is_nil(process.read_file(path))
  end)

  -- Else a worker goes on to serve what has ended for another one, and does not note such uses.
  it("is remembered by a worker no longer than one use of it is noted for", function()
    local gateway = scene.start { idle_timeout = 10 }
    local browser = scene.log_in("alice")
    assert.equal("alice", browser:user())
    gateway:change_entry(browser, nil)
    gateway:advance(0.6)
    assert.is_nil(browser:user())
  end)

  it("ends everywhere within seconds once its account is removed", function()
    local gateway = scene.start(nil, { workers = 2 })
    local browser = scene.log_in("alice")
    for _ = 1, 10 do
      assert.equal("alice", browser:user())
    end
    assert.is_true(gateway:trusted_for() <= 4) -- and a worker remembers for one second more
    local _, problem = process.run { "sh", "-c", "rm " .. gateway.server.directory
      .. "/sessions/session%3a*" }
    assert.equal("", problem)
    process.wait_until("the session to end", function()
      for _ = 1, 10 do
        if browser:user() then
          return false
        end
      end
      return true
    end)
  end)

  local function renewals()
    return scene.provider:counts().refresh_token or 0
  end

  it("has its token renewed before a request needs that", function()
    scene.provider:set_token_lifetime(3)
    finally(function() scene.provider:set_token_lifetime(HOUR) end)
    scene.start()
    local before = renewals()
    assert.equal("alice", scene.log_in("alice"):user())
    process.wait_until("the token to be renewed", function() return renewals() > before end)
  end)

  it("goes on over expiries, of which none of its requests notices", function()
    local gateway = scene.start({ clock = "ngx.now", idle_timeout = 10 * HOUR }, { workers = 4 })
    local users, browsers, seen = { "alice", "bob", "carol" }, {}, {}
    for i, user in ipairs(users) do
      browsers[i] = scene.log_in(user)
    end
    --- Asks for each user some times at once, and counts the answers with a token seen before.
    local function ask()
      local requests, old = {}, 0
      for i = 1, 12 do
        requests[i] = gateway.server:begin("/", { headers = {
          Cookie = "tokencache=" .. browsers[i % 3 + 1].cookies.tokencache } })
      end
      for i, request in ipairs(requests) do
        local status, body = request:finish()
        assert.equal(200, status)
        assert.equal(users[i % 3 + 1], body:match("\r\nX%-User: ([^\r]*)"))
        local token = body:match("\r\nAuthorization: Bearer ([^\r]*)")
        old = old + (seen[token] and 1 or 0)
        requests[i] = token
      end
      return requests, old
    end
    --- Notes tokens, of which each user has one.
    local function note(tokens)
      local count = 0
      for _, token in ipairs(tokens) do
        count = count + (seen[token] and 0 or 1)
        seen[token] = true
        assert.is_true(scene.provider:introspect(token).active)
      end
      assert.equal(#users, count)
    end
    note((ask()))
    local before, tokens, old = renewals(), nil, nil
    gateway:advance(HOUR - 30) -- the tokens are due, and work
    process.wait_until("new tokens", function()
      tokens, old = ask()
      return old == 0
    end)
    note(tokens)
    gateway:advance(HOUR + 1) -- the tokens are over
    tokens, old = ask()
    assert.equal(0, old)
    note(tokens)
    assert.equal(before + 2 * #users, renewals())
  end)

  it("gets another token where the application refuses this one", function()
    local gateway = scene.start()
    local browser = scene.log_in("alice")
    shorten(browser, HOUR / 2)
    local entry, before = gateway:entry(browser), scene.provider:token_requests()
    assert.equal(401, browser:get("/?status=401&scheme=Basic").status) -- the application's own
    assert.equal("bearer " .. entry.access_token:lower(), browser:told("Authorization"))
    assert.equal(401, browser:get("/?status=401").status)
    gateway:advance(1.1)
    assert.not_equal("bearer " .. entry.access_token:lower(), browser:told("Authorization"))
    assert.equal(before + 1, scene.provider:token_requests())
    local other = gateway:entry(browser).access_token
    assert.is_true(scene.provider:introspect(other).active)
    shorten(browser, HOUR / 2)
    assert.equal(401, browser:get("/?status=401").status)
    gateway:advance(1.1)
    assert.equal("alice", browser:user())
    assert.equal(before + 1, scene.provider:token_requests())
  end)

  it("serves on while its token works, though the provider is away; others get 503", function()
    local gateway = scene.start({ timeout = 1 })
    gateway.server:announce("login: t[ri][am][ne][so]") -- transient, or timeout
    local alice, bob = scene.log_in("alice"), scene.log_in("bob")
    local before = scene.provider:token_requests()
    scene.provider:be_silent(true)
    finally(function() scene.provider:be_silent(false) end)
    shorten(alice, 55)
    shorten(bob, 0)
    process.wait_until("the other token to be over", function()
      assert.equal("alice", alice:user())
      return bob:get("/").status == 503
    end)
    for _ = 1, REQUESTS do
      local answer = bob:get("/")
      assert.equal(503, answer.status)
      assert.is_true(tonumber(answer.headers["retry-after"]) >= 1)
      assert.equal("alice", alice:user())
    end
    scene.provider:be_silent(false)
    process.wait_until("both to have new tokens", function()
      return alice:user() == "alice" and gateway:entry(alice).expires_at > os.time() + HOUR / 2
        and bob:user() == "bob"
    end)
    -- Else each of them would have asked. How often it was tried beside them, by bob's requests and
    -- to keep two tokens fresh, depends on the seconds: 1, 2, 4, ... are between two tries.
    assert.is_true(scene.provider:token_requests() - before < REQUESTS)
  end)

  it("does not wait for a provider that was away a moment ago", function()
    local gateway = scene.start({ timeout = 60 }) -- more than this client waits
    gateway.server:announce("login: transient")
    local browser = scene.log_in("alice")
    shorten(browser, 0)
    process.wait_until("the token to be over", function()
      scene.provider:next_token { status = 500, error = "server_error" }
      return browser:get("/").status == 503
    end)
    scene.provider:be_silent(true)
    finally(function() scene.provider:be_silent(false) end)
    local noted = os.time()
    process.wait_until("the provider to be asked again", function()
      assert.equal(503, browser:get("/").status)
      return os.time() > noted + 2
    end)
    scene.provider:be_silent(false)
    process.wait_until("it to be back", function() return browser:user() == "alice" end)
  end)

  it("is logged out only once a renewal under way is over, which would save its token", function()
    local gateway = scene.start()
    local browser = scene.log_in("alice")
    shorten(browser, 0)
    local before = scene.provider:token_requests()
    scene.provider:next_token { held = true }
    local headers = { Cookie = "tokencache=" .. browser.cookies.tokencache, Origin = gateway.url }
    local renewal = gateway.server:begin("/", { headers = headers })
    process.wait_until("the renewal", function()
      return scene.provider:token_requests() > before
    end)
    local log_out = gateway.server:begin("/auth/logout", { method = "POST", headers = headers,
      body = "" })
    scene.provider:release()
    assert.equal(200, (renewal:finish()))
    assert.equal(303, (log_out:finish()))
    assert.is_nil(gateway:entry(browser))
  end)

  it("is none where it cannot be kept, and is not begun where that is known", function()
    local gateway = scene.start()
    gateway.server:announce("/sessions")
    gateway.server:announce("session could .*be kept: .*sessions")
    local directory = gateway.server.directory .. "/sessions"
    local browser = gateway:new_browser()
    process.run { "rm", "-r", directory }
    assert.equal(503, browser:get("/").status)
    process.run { "mkdir", "-m", "700", directory }
    process.wait_until("the store to be tried again", function()
      return browser:get("/").status == 303
    end)
    local path = browser:go_to_provider()
    process.run { "rm", "-r", directory }
    local revocations = scene.provider:counts().revocations
    assert.equal(503, browser:get(path).status)
    assert.equal(revocations + 2, scene.provider:counts().revocations)
    assert.is_nil(browser.cookies.tokencache)
    assert.matches("cache: the session could not be kept: [^\n]*/sessions", gateway.server:log())
  end)

  it("ends where the provider has ended the login", function()
    local gateway = scene.start()
    local browser = scene.log_in("alice")
    scene.provider:revoke(gateway:entry(browser).refresh_token)
    shorten(browser, 0)
    await_end(browser)
    assert.equal(303, browser:get("/").status)
  end)
end)
