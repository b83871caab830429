-- get_access_token where there is no token: a login by the program's own function, or by a browser
-- that comes back to the listener; and what becomes of the login afterwards. The server is real;
-- the person is played by requests. With a browser: login_browser_spec; without: login_paste_spec.

local folder = require "support.folder"
local http = require "socket.http"
local json = require "tokencache.json"
local loopback = require "support.loopback"
local ltn12 = require "ltn12"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"
local query = require "support.query"
local socket = require "socket"
local started_browser = require "support.started_browser"
local tokencache = require "tokencache"

local REDIRECT_URI = "http://127.0.0.1:8123/callback"

describe("a login", function()
  local server, cache

  setup(function()
    server = oidc_provider.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    cache = tokencache.cache.memory {}
  end)

  local function options(changes)
    return server:options("public", { redirect_uri = REDIRECT_URI, scope = "openid read",
      cache = cache }, changes or {})
  end

  local function new(changes)
    return tokencache.flow.pkce(options(changes))
  end

  --- A flow whose logins take place at once; `logins` counts them.
  local function willing(changes)
    local logins = { count = 0 }
    changes = changes or {}
    changes.authorize = function(url)
      logins.count = logins.count + 1
      return server:login(url)
    end
    return new(changes), logins
  end

  local function expire()
    local info = assert(cache:get_cached_token())
    info.expires_at = os.time() - 1
    assert(cache:save_token_to_cache(info))
    return info
  end

  describe("by the program's own function", function()
    it("gets the URL and the redirect URI, and gives the answer", function()
      local given
      local flow = new { authorize = function(...)
        given = { ... }
        return server:login((...))
      end }
      local token = assert(flow:get_access_token())
      assert.same({ given[1], REDIRECT_URI }, given)
      assert.equal(server.provider.authorize_url, select(2, query.read(given[1])))
      assert.equal(token, cache:get_cached_token().access_token)
    end)

    it("is sent back to any address that is registered, a URL or not", function()
      assert((willing { redirect_uri = "com.example.app:/callback" }):get_access_token())
      local sent
      local flow = new { redirect_uri = "Alice_Example-App-PRD-1a2b", authorize = function(url)
        sent = query.read(url).redirect_uri
        return nil, "enough"
      end, cache = tokencache.cache.memory {} }
      assert.equal("enough", select(2, flow:get_access_token()).message)
      assert.equal("Alice_Example-App-PRD-1a2b", sent)
    end)

    it("takes place once", function()
      local flow, logins = willing()
      local token = assert(flow:get_access_token())
      assert.equal(token, flow:get_access_token())
      assert.equal(1, logins.count)
    end)

    it("may yield", function()
      local flow = new { authorize = function(url)
        return server:login(coroutine.yield(url))
      end }
      local token
      local thread = coroutine.create(function() token = assert(flow:get_access_token()) end)
      local _, url = assert(coroutine.resume(thread))
      assert(coroutine.resume(thread, url))
      assert.equal("dead", coroutine.status(thread))
      assert.equal(token, cache:get_cached_token().access_token)
    end)

    it("is refused what does not answer it", function()
      local other = server:login((new():get_authorize_url()))
      local requests = server:token_requests()
      local function refused(kind, answer)
        local token, err = new({ authorize = answer }):get_access_token()
        assert.is_nil(token)
        assert.equal(kind, err.kind)
        assert.is_nil((cache:get_cached_token()))
        return tostring(err)
      end
      refused("state", function() return other end)
      refused("state", function(url) return (server:login(url):gsub("&state=[^&]*", "")) end)
      refused("state", function(url) return query.read(server:login(url)).code end)
      refused("denied", function(url) return server:login(url, { deny = true }) end)
      refused("protocol", function() return REDIRECT_URI end)
      assert.equal(requests, server:token_requests())
    end)

    it("may give a reason in place of an answer", function()
      local function reason(nothing, why)
        local token, err = new({
          authorize = function() return nothing, why end,
        }):get_access_token()
        assert.is_nil(token)
        return err.kind .. ": " .. tostring(err)
      end
      assert.equal("denied: not today", reason(nil, "not today"))
      assert.equal("timeout: too slow", reason(nil, { kind = "timeout", message = "too slow" }))
      assert.equal("denied: the authorize callback returned no response URL", reason())
    end)
  end)

  it("does not take place where the program forbids it", function()
    local requests = server:counts()
    local flow = new { authorize = false }
    local token, err = flow:get_access_token()
    assert.is_nil(token)
    assert.equal("reauthorize", err.kind)
    assert.same(requests, server:counts())

    assert((willing()):get_access_token())
    local old = expire().access_token
    token = assert(flow:get_access_token()) -- to renew is not to log in
    assert.not_equal(old, token)
  end)

  describe("by a browser", function()
    local work

    before_each(function()
      work = folder.new()
    end)

    after_each(function()
      work:remove()
    end)

    local SCRIPT = [[
      local json, tokencache = require "tokencache.json", require "tokencache"
      local options = assert(json.decode((...)))
      options.cache = tokencache.cache.memory {}
      local info, err = tokencache.flow.pkce(options):get_token_info()
      print("\n" .. assert(json.encode(info or { kind = err.kind, message = err.message })))
    ]]

    --- Starts a script that logs in.
    local function start(changes, browser)
      local all = options(changes)
      all.cache = nil
      local child = process.start(process.lua(SCRIPT, json.encode(all)),
        { environment = { BROWSER = browser or started_browser.command(work) } })
      finally(function() child:stop() end)
      return child
    end

    local function address()
      return started_browser.address(work)
    end

    local function result(child)
      child:wait()
      local said, text = child:output():match("^(.*)\n({.*})\n$")
      return json.decode(assert(text, child:output())), said
    end

    local function get(url)
      local body = {}
      local _, status, headers = http.request { url = url, sink = ltn12.sink.table(body) }
      return status, table.concat(body), headers
    end

    it("comes back to a port of its own", function()
      local child = start { redirect_uri = "http://127.0.0.1:0/callback" }
      local url = address()
      assert.matches("^http://127%.0%.0%.1:%d%d%d%d+/callback$", query.read(url).redirect_uri)
      local status, page = get(server:login(url))
      assert.equal(200, status)
      assert.matches("Login received", page)
      assert.equal("openid read", result(child).scope)
    end)

    it("comes back to localhost", function()
      local child = start { redirect_uri = "http://localhost:0/callback" }
      local url = address()
      assert.matches("^http://localhost:%d+/callback$", query.read(url).redirect_uri)
      assert.equal(200, (get(server:login(url))))
      assert.equal("openid read", result(child).scope)
    end)

    it("comes back to the first of several ports that is free", function()
      local taken = assert(socket.bind("127.0.0.1", 0))
      local _, port = taken:getsockname()
      local free = loopback.free_port()
      local child = start { redirect_uri = { ("http://127.0.0.1:%d/callback"):format(port),
        ("http://localhost:%d/callback"):format(free) } }
      local url = address()
      assert.equal(("http://localhost:%d/callback"):format(free), query.read(url).redirect_uri)
      assert.equal(200, (get(server:login(url))))
      assert.equal("openid read", result(child).scope)
      taken:close()
    end)

    it("comes back over IPv6 as well", function()
      local child = start { redirect_uri = "http://[::1]:0/callback" }
      local url = address()
      assert.matches("^http://%[::1%]:%d+/callback$", query.read(url).redirect_uri)
      local code, output = process.run { "node", "-e",
        "fetch(process.argv[1]).then(async (page) => console.log(await page.text()))",
        server:login(url) }
      assert.equal(0, code, output)
      assert.matches("Login received", output)
      assert.equal("openid read", result(child).scope)
    end)

    it("is ended by its own answer alone", function()
      local child = start { redirect_uri = "http://127.0.0.1:0/callback" }
      local url = address()
      local response_url = server:login(url)
      local base = query.read(url).redirect_uri
      local origin = base:match("^http://[^/]+")
      assert.equal(404, (get(origin .. "/favicon.ico")))
      assert.equal(404, (get(origin .. "/")))
      assert.equal(400, (get(base)))
      assert.equal(400, (get(base .. "?code=stolen&state=guessed")))
      assert.equal(400, (get(base .. "?error=access_denied")))
      assert.equal(200, (get(response_url)))
      assert.equal("openid read", result(child).scope)
    end)

    it("may be refused there", function()
      local child = start { redirect_uri = "http://127.0.0.1:0/callback" }
      local _, page = get(server:login(address(), { deny = true }))
      assert.matches("Login not completed", page)
      assert.is_nil(page:find("aborted", 1, true)) -- nothing of the request
      assert.equal("denied", result(child).kind)
    end)

    it("is waited for as long as the program says", function()
      local child = start { redirect_uri = "http://127.0.0.1:0/callback", login_timeout = 0.3 }
      local answer = result(child)
      assert.equal("timeout", answer.kind)
      assert.equal("nobody logged in within 0.3 seconds", answer.message)
    end)

    for what, browser in pairs {
      ["there is none"] = "/nonexistent", ["it fails"] = "false", ["it seems to start"] = "true",
    } do
      it("shows the URL where " .. what, function()
        local child = start({ redirect_uri = "http://127.0.0.1:0/callback" }, browser)
        local url = process.wait_until("the URL", function()
          return child:output():match("[Oo]pen this address in a browser[^\n]*\n\n%s*(http%S+)\n")
        end)
        get(server:login(url))
        assert.equal("openid read", result(child).scope)
      end)
    end
  end)

  describe("that has taken place", function()
    it("is renewed with each refresh token once, and keeps its date", function()
      local now = os.time()
      local flow, logins = willing { clock = function() return now end }
      local first = assert(flow:get_token_info())
      local previous, refresh_tokens = first, {}
      for _ = 1, 5 do
        now = now + 3600
        local info = assert(flow:get_token_info())
        assert.not_equal(previous.access_token, info.access_token)
        assert.is_nil(refresh_tokens[info.refresh_token])
        refresh_tokens[info.refresh_token] = true
        assert.equal(first.authorized_at, info.authorized_at)
        assert.equal("openid read", info.scope)
        previous = info
      end
      assert.equal(1, logins.count)
    end)

    it("is renewed on demand", function()
      local flow = willing()
      local first = assert(flow:get_token_info())
      local second = assert(flow:refresh_access_token())
      assert.not_equal(first.refresh_token, second.refresh_token)
      assert.same(second, cache:get_cached_token())
      local third = assert(flow:refresh_access_token(second.refresh_token))
      assert.not_equal(second.refresh_token, third.refresh_token)
      assert.equal(first.authorized_at, third.authorized_at)
      assert.same(third, cache:get_cached_token())
    end)

    it("is valid, or made so", function()
      local flow, logins = willing()
      local info = assert(flow:get_token_info())
      assert.equal(info, flow:validate_token(info))
      local expired = expire()
      local renewed = assert(flow:validate_token(expired))
      assert.not_equal(expired.access_token, renewed.access_token)
      assert.equal(info.authorized_at, renewed.authorized_at)

      assert.is_nil(new({ scope = "write" }):validate_token(renewed))
      assert.is_nil(flow:validate_token(nil))
      assert.equal(1, logins.count)
    end)

    it("is asked for again after the server ended it", function()
      local flow, logins = willing()
      assert(flow:get_token_info())
      server:revoke(expire().refresh_token)
      local requests = server:token_requests()
      local info, err = flow:get_token_info()
      assert.is_nil(info)
      assert.equal("reauthorize", err.kind)
      assert.equal("invalid_grant", err.code)
      assert.equal(requests + 1, server:token_requests())
      assert.is_nil((cache:get_cached_token()))
      assert.equal(1, logins.count)

      assert(flow:get_token_info())
      assert.equal(2, logins.count)
    end)

    it("tells when it will be due again, where the provider sets an end", function()
      local now = os.time()
      local limited = { authorize_url = server.provider.authorize_url,
        token_url = server.token_url, refresh_token_lifetime = 180 * 86400 }
      local flow = willing { provider = limited, clock = function() return now end }
      assert.is_nil(flow:reauthorization_due_in())
      assert(flow:get_access_token())
      assert.equal(180 * 86400, flow:reauthorization_due_in())
      now = now + 7200
      assert(flow:get_access_token()) -- renewing it does not put that off
      assert.equal(180 * 86400 - 7200, flow:reauthorization_due_in())
      now = now + 200 * 86400
      assert.is_true(flow:reauthorization_due_in() < 0)
      assert.is_nil(willing():reauthorization_due_in())
      assert.equal(15552000, tokencache.provider.spotify.refresh_token_lifetime)
    end)

    it("is not that of another client", function()
      assert((willing()):get_access_token())
      local requests = server:counts()
      local flow = tokencache.flow.authorization_code(options {
        client_id = "confidential", client_secret = "confidential-secret-51c9", authorize = false,
      })
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("reauthorize", err.kind)
      assert.same(requests, server:counts())
    end)
  end)
end)
